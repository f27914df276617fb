/** SPE's loads and stores (SPE Programming Environments Manual, chapter 5). Each must be aligned to all that it moves. */
import type { InstructionRow } from '../define.ts';
import type { Expr, Semantics } from '../semantics.ts';
import { type Elements, elements, setElements, setWideGpr, speRow, wideGpr } from './spe-common.ts';

type Bytes = 2 | 4 | 8;

/** Both forms of an access: by an index, and by an unsigned displacement in units of what is moved. */
function access(
  mnemonic: string,
  opcode: number,
  bytes: Bytes,
  kind: 'load' | 'store',
  perform: (s: Semantics, address: Expr, f: { readonly RT: Parameters<Semantics['gpr']>[0] }) => void,
): InstructionRow[] {
  const displacement = `EVU${bytes}` as const;
  const register = kind === 'load' ? 'RT' : 'RS';
  const at = (s: Semantics, sum: Expr, body: (address: Expr) => void): void => {
    const address = s.let(sum);
    s.if(s.and(address, bytes - 1), () => s.misaligned(address, kind));
    body(address);
  };
  return [
    speRow(`${mnemonic}x`, opcode, `${register} EVRA RB`, `${register},EVRA,RB`, (s, f) =>
      at(s, s.add(s.gpr(f.EVRA), s.gpr(f.RB)), (address) => perform(s, address, { RT: f[register] })),
    ),
    speRow(mnemonic, opcode + 1, `${register} EVRA ${displacement}`, `${register},${displacement}(EVRA)`, (s, f) =>
      at(s, s.add(s.gpr(f.EVRA), f[displacement]), (address) => perform(s, address, { RT: f[register] })),
    ),
  ];
}

const doubleword = (mnemonic: string, opcode: number): InstructionRow[] =>
  access(mnemonic, opcode, 8, 'load', (s, address, f) => setWideGpr(s, f.RT, s.load64(address)));
const storedDoubleword = (mnemonic: string, opcode: number): InstructionRow[] =>
  access(mnemonic, opcode, 8, 'store', (s, address, f) => s.store64(address, wideGpr(s, f.RT)));

/** Loads an item and makes both elements of it. */
const made = (
  mnemonic: string,
  opcode: number,
  bytes: 2 | 4,
  make: (s: Semantics, item: Expr) => readonly [high: Expr, low: Expr],
): InstructionRow[] =>
  access(mnemonic, opcode, bytes, 'load', (s, address, f) => {
    const [high, low] = make(s, s.let(s.low32(s.load(bytes, address))));
    setElements(s, f.RT, high, low);
  });

const stored = (mnemonic: string, opcode: number, make: (s: Semantics, source: Elements) => Expr): InstructionRow[] =>
  access(mnemonic, opcode, 4, 'store', (s, address, f) =>
    s.store(4, address, s.wordFromUnsigned32(make(s, elements(s, f.RT)))),
  );

const UPPER = 0xffff_0000 | 0;
const upper = (s: Semantics, word: Expr): Expr => s.and(word, UPPER);
const lower = (s: Semantics, word: Expr): Expr => s.and(word, 0xffff);

export const SPE_STORAGE_INSTRUCTIONS: readonly InstructionRow[] = [
  ...doubleword('evldd', 768),
  ...doubleword('evldw', 770),
  ...doubleword('evldh', 772),
  ...made('evlhhesplat', 776, 2, (s, item) => [s.shl(item, 16), s.shl(item, 16)]),
  ...made('evlhhousplat', 780, 2, (_, item) => [item, item]),
  ...made('evlhhossplat', 782, 2, (s, item) => [s.signExtend16(item), s.signExtend16(item)]),
  ...made('evlwhe', 784, 4, (s, item) => [upper(s, item), s.shl(item, 16)]),
  ...made('evlwhou', 788, 4, (s, item) => [s.shrUnsigned(item, 16), lower(s, item)]),
  ...made('evlwhos', 790, 4, (s, item) => [s.shrSigned(item, 16), s.signExtend16(item)]),
  ...made('evlwwsplat', 792, 4, (_, item) => [item, item]),
  ...made('evlwhsplat', 796, 4, (s, item) => [
    s.or(upper(s, item), s.shrUnsigned(item, 16)),
    s.or(s.shl(item, 16), lower(s, item)),
  ]),
  ...storedDoubleword('evstdd', 800),
  ...storedDoubleword('evstdw', 802),
  ...storedDoubleword('evstdh', 804),
  ...stored('evstwhe', 816, (s, { high, low }) => s.or(upper(s, high), s.shrUnsigned(low, 16))),
  ...stored('evstwho', 820, (s, { high, low }) => s.or(s.shl(high, 16), lower(s, low))),
  ...stored('evstwwe', 824, (_, { high }) => high),
  ...stored('evstwwo', 828, (_, { low }) => low),
];
