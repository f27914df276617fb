/** Extended mnemonics: other names for an instruction with some of its fields given. Power ISA 2.07 Book I, appendix E. */
import { encodeField, FIELDS, type FieldName } from './fields.ts';
import { SPECIAL_REGISTERS } from './registers/index.ts';

export interface Alias {
  /** Without the suffixes that OE, Rc, LK and AA add. */
  readonly mnemonic: string;
  /** The instruction's mnemonic. */
  readonly of: string;
  /** As an instruction's syntax; `n` is the operand that `n` computes, `#5` stands for itself. */
  readonly syntax: string;
  /** The alias is meant when (word & mask) === value … */
  readonly mask: number;
  readonly value: number;
  /** … and these pairs of fields are equal … */
  readonly equal?: readonly (readonly [FieldName, FieldName])[];
  /** … and these fields follow from the operand `n`. */
  readonly n?: {
    /** The field that tells n, and n from its value; the same function gives the field from n. */
    readonly field: FieldName;
    readonly convert: (value: number) => number;
    readonly others: Partial<Record<FieldName, (n: number) => number>>;
  };
  /** A prediction (+ or -) follows the mnemonic: the lowest bit of BO, turned around for backward branches. */
  readonly predicts?: boolean;
  /** The assembler takes it, the disassembler writes something else. */
  readonly inputOnly?: boolean;
}

type Fixed = Partial<Record<FieldName, number>>;

function alias(mnemonic: string, of: string, syntax: string, fixed: Fixed, more: Partial<Alias> = {}): Alias {
  let mask = 0;
  let value = 0;
  for (const [name, number] of Object.entries(fixed) as [FieldName, number][]) {
    mask |= encodeField(name, FIELDS[name].kind === 'branch' ? -4 : -1);
    value |= encodeField(name, number);
  }
  return { mnemonic, of, syntax, mask: mask | 0, value: value | 0, ...more };
}

const same = (n: number): number => n;
const negated = (n: number): number => -n;
const to31 = (n: number): number => 31 - n;
const to32 = (n: number): number => 32 - n;
const to63 = (n: number): number => 63 - n;
const to64 = (n: number): number => 64 - n;

const comparisonAliases = (): Alias[] =>
  (['cmp', 'cmpl'] as const).flatMap((of) => [
    alias(`${of}w`, of, '[BF,]RA,RB', { L: 0 }),
    alias(`${of}wi`, `${of}i`, of === 'cmp' ? '[BF,]RA,SI' : '[BF,]RA,UI', { L: 0 }),
    // An embedded processor's disassembler writes these as the instruction with L = 1.
    alias(`${of}d`, of, '[BF,]RA,RB', { L: 1 }, { inputOnly: true }),
    alias(`${of}di`, `${of}i`, of === 'cmp' ? '[BF,]RA,SI' : '[BF,]RA,UI', { L: 1 }, { inputOnly: true }),
  ]);

const TRAPS: readonly (readonly [name: string, to: number])[] = [
  ['lgt', 1],
  ['llt', 2],
  ['eq', 4],
  ['lge', 5],
  ['lle', 6],
  ['gt', 8],
  ['ge', 12],
  ['lt', 16],
  ['le', 20],
  ['ne', 24],
  ['u', 31],
];

const trapAliases = (): Alias[] =>
  TRAPS.flatMap(([name, TO]) => [
    alias(`tw${name}`, 'tw', 'RA,RB', { TO }),
    alias(`tw${name}i`, 'twi', 'RA,SI', { TO }),
    alias(`td${name}`, 'td', 'RA,RB', { TO }),
    alias(`td${name}i`, 'tdi', 'RA,SI', { TO }),
  ]);

/** BO bits: 16 without CR, 8 branch if true, 4 without CTR, 2 branch if CTR is zero, 1 the prediction. */
const CONDITIONS = ['lt', 'gt', 'eq', 'so'] as const;
const INVERSES = ['ge', 'le', 'ne', 'ns'] as const;

/** Where a conditional branch goes: the form's instruction, what it adds to the mnemonic, its last operand. */
const DESTINATIONS = [
  { of: 'bc', suffix: '', target: 'BD' },
  { of: 'bclr', suffix: 'lr', target: '[BH]' },
  { of: 'bcctr', suffix: 'ctr', target: '[BH]' },
] as const;

const BO_SHIFT = 21;
const BI_SHIFT = 16;

function branchAliases(): Alias[] {
  const aliases: Alias[] = [];
  for (const { of, suffix, target } of DESTINATIONS) {
    const relative = of === 'bc';
    /** bc takes any value of BO's unused bits for the name's sake; the others want zeros. */
    const conditional = (name: string, bo: number, condition: number, inputOnly = false): Alias => ({
      mnemonic: `b${name}${suffix}`,
      of,
      syntax: relative ? '[BFA,]BD' : '[BFA,BH]',
      mask: ((relative ? 28 : 30) << BO_SHIFT) | (3 << BI_SHIFT),
      value: (bo << BO_SHIFT) | (condition << BI_SHIFT),
      predicts: true,
      inputOnly,
    });
    CONDITIONS.forEach((name, condition) => {
      aliases.push(conditional(name, 12, condition));
      aliases.push(conditional(INVERSES[condition] as string, 4, condition));
    });
    aliases.push(conditional('un', 12, 3, true), conditional('nu', 4, 3, true));
    aliases.push(conditional('nl', 4, 0, true), conditional('ng', 4, 1, true));
    if (of !== 'bcctr') {
      for (const [name, bo] of [
        ['dnz', 16],
        ['dz', 18],
      ] as const) {
        aliases.push({
          mnemonic: `b${name}${suffix}`,
          of,
          syntax: target,
          mask: ((relative ? 22 : 30) << BO_SHIFT) | (31 << BI_SHIFT),
          value: bo << BO_SHIFT,
          predicts: true,
        });
        for (const [test, bits] of [
          ['t', 8],
          ['f', 0],
        ] as const) {
          aliases.push({
            mnemonic: `b${name}${test}${suffix}`,
            of,
            syntax: relative ? 'BI,BD' : 'BI[,BH]',
            mask: 30 << BO_SHIFT,
            value: (bits + (bo - 16)) << BO_SHIFT,
            predicts: true,
          });
        }
      }
    }
    if (!relative) aliases.push(alias(`b${suffix}`, of, target, { BO: 20, BI: 0 }));
  }
  return aliases;
}

/** Moves between a general register and a floating-point or vector register: they have names and numbers of their own. */
const MOVES = [
  ['mfvsr', 'd', 'mf', 'RA,', 'S'],
  ['mfvsr', 'wz', 'mf', 'RA,', 'S'],
  ['mtvsr', 'd', 'mt', ',RA', 'T'],
  ['mtvsr', 'wa', 'mt', ',RA', 'T'],
  ['mtvsr', 'wz', 'mt', ',RA', 'T'],
] as const;

function vectorAliases(): Alias[] {
  const high = encodeField('XT', 32) & 1;
  const moves = MOVES.flatMap(([of, suffix, direction, other, register]) => {
    const syntax = (field: string) => (other.endsWith(',') ? other + field : field + other);
    return [
      { mnemonic: `${direction}fpr${suffix}`, of: of + suffix, syntax: syntax(`FR${register}`), mask: high, value: 0 },
      {
        mnemonic: `${direction}vr${suffix}`,
        of: of + suffix,
        syntax: syntax(`VR${register}`),
        mask: high,
        value: high,
      },
    ];
  });
  const twice = (a: FieldName, b: FieldName): Partial<Alias> => ({ equal: [[b, a]] });
  return [
    ...moves,
    alias('vmr', 'vor', 'VRT,VRA', {}, twice('VRA', 'VRB')),
    alias('vnot', 'vnor', 'VRT,VRA', {}, twice('VRA', 'VRB')),
    alias('xxmr', 'xxlor', 'XT,XA', {}, twice('XA', 'XB')),
    alias('xxlnot', 'xxlnor', 'XT,XA', {}, twice('XA', 'XB')),
    alias('xxspltd', 'xxpermdi', 'XT,XA,#0', { DM: 0 }, twice('XA', 'XB')),
    alias('xxspltd', 'xxpermdi', 'XT,XA,#1', { DM: 3 }, twice('XA', 'XB')),
    alias('xxswapd', 'xxpermdi', 'XT,XA', { DM: 2 }, twice('XA', 'XB')),
    alias('xxmrghd', 'xxpermdi', 'XT,XA,XB', { DM: 0 }),
    alias('xxmrgld', 'xxpermdi', 'XT,XA,XB', { DM: 3 }),
  ];
}

/** mfNAME and mtNAME; registers that come in numbered sets are written with the number as an operand. */
function registerAliases(): Alias[] {
  const aliases: Alias[] = [];
  for (const { number, name, mnemonics } of SPECIAL_REGISTERS) {
    if (mnemonics === 'none') continue;
    const numbered = /^(sprg|[id]bat[ul])(\d)$/.exec(name);
    const [base, index] = numbered ? [numbered[1] as string, `#${numbered[2]}`] : [name, ''];
    if (mnemonics !== 'to') aliases.push(alias(`mf${base}`, 'mfspr', index ? `RT,${index}` : 'RT', { SPR: number }));
    if (mnemonics !== 'from') aliases.push(alias(`mt${base}`, 'mtspr', index ? `${index},RS` : 'RS', { SPR: number }));
  }
  return aliases;
}

/** Subtracting an immediate operand is adding its negative. */
const SUBTRACT: Partial<Alias> = { inputOnly: true, n: { field: 'SI', convert: negated, others: {} } };

export const ALIASES: readonly Alias[] = [
  alias('li', 'addi', 'RT,SI', { RA0: 0 }),
  alias('lis', 'addis', 'RT,SI', { RA0: 0 }),
  alias('nop', 'ori', '', { RS: 0, RA: 0, UI: 0 }),
  alias('mr', 'or', 'RA,RS', {}, { equal: [['RB', 'RS']] }),
  alias('not', 'nor', 'RA,RS', {}, { equal: [['RB', 'RS']] }),
  alias('la', 'addi', 'RT,SI(RA0)', {}, { inputOnly: true }),
  ...(['i', 'ic', 'ic.', 'is'] as const).map((suffix) =>
    alias(`sub${suffix}`, `add${suffix}`, suffix.includes('c') ? 'RT,RA,n' : 'RT,RA0,n', {}, SUBTRACT),
  ),
  alias('sub', 'subf', 'RT,RB,RA', {}, { inputOnly: true }),
  alias('subc', 'subfc', 'RT,RB,RA', {}, { inputOnly: true }),

  alias('rotlwi', 'rlwinm', 'RA,RS,SH', { MB: 0, ME: 31 }),
  alias('clrlwi', 'rlwinm', 'RA,RS,MB', { SH: 0, ME: 31 }),
  alias('slwi', 'rlwinm', 'RA,RS,n', { MB: 0 }, { n: { field: 'SH', convert: same, others: { ME: to31 } } }),
  alias('srwi', 'rlwinm', 'RA,RS,n', { ME: 31 }, { n: { field: 'MB', convert: same, others: { SH: to32 } } }),
  alias('clrrwi', 'rlwinm', 'RA,RS,n', { SH: 0, MB: 0 }, { n: { field: 'ME', convert: to31, others: {} } }),
  alias('rotlw', 'rlwnm', 'RA,RS,RB', { MB: 0, ME: 31 }),

  alias('rotldi', 'rldicl', 'RA,RS,SH6', { MB6: 0 }),
  alias('clrldi', 'rldicl', 'RA,RS,MB6', { SH6: 0 }),
  alias('srdi', 'rldicl', 'RA,RS,n', {}, { n: { field: 'MB6', convert: same, others: { SH6: to64 } } }),
  alias('clrrdi', 'rldicr', 'RA,RS,n', { SH6: 0 }, { n: { field: 'ME6', convert: to63, others: {} } }),
  alias('sldi', 'rldicr', 'RA,RS,n', {}, { n: { field: 'SH6', convert: same, others: { ME6: to63 } } }),
  alias('rotld', 'rldcl', 'RA,RS,RB', { MB6: 0 }),
  ...comparisonAliases(),
  alias('trap', 'tw', '', { TO: 31, RA: 0, RB: 0 }),
  ...trapAliases(),

  ...branchAliases(),
  alias(
    'crset',
    'creqv',
    'BT',
    {},
    {
      equal: [
        ['BA', 'BT'],
        ['BB', 'BT'],
      ],
    },
  ),
  alias(
    'crclr',
    'crxor',
    'BT',
    {},
    {
      equal: [
        ['BA', 'BT'],
        ['BB', 'BT'],
      ],
    },
  ),
  alias('crmove', 'cror', 'BT,BA', {}, { equal: [['BB', 'BA']] }),
  alias('crnot', 'crnor', 'BT,BA', {}, { equal: [['BB', 'BA']] }),
  alias('isellt', 'isel', 'RT,RA0,RB', { BC: 0 }),
  alias('iselgt', 'isel', 'RT,RA0,RB', { BC: 1 }),
  alias('iseleq', 'isel', 'RT,RA0,RB', { BC: 2 }),
  alias('mtcr', 'mtcrf', 'RS', { FXM: 255 }),
  alias('xvmovdp', 'xvcpsgndp', 'XT,XB', {}, { equal: [['XA', 'XB']] }),
  alias('xvmovsp', 'xvcpsgnsp', 'XT,XB', {}, { equal: [['XA', 'XB']] }),

  ...vectorAliases(),
  alias('evmr', 'evor', 'RT,RA', {}, { equal: [['RB', 'RA']] }),
  alias('evnot', 'evnor', 'RT,RA', {}, { equal: [['RB', 'RA']] }),
  alias('evsubfw', 'evsubw', 'RT,RA,RB', {}, { inputOnly: true }),
  alias('evsubifw', 'evsubiw', 'RT,UIM5,RB', {}, { inputOnly: true }),

  ...registerAliases(),
  alias('mftbl', 'mfspr', 'RT', { SPR: 268 }, { inputOnly: true }),
  alias('mfvrsave', 'mfspr', 'RT', { SPR: 256 }, { inputOnly: true }),
  alias('mtvrsave', 'mtspr', 'RS', { SPR: 256 }, { inputOnly: true }),
  alias('sync', 'msync', '', {}, { inputOnly: true }),
  alias('eieio', 'mbar', '', { MO: 0 }, { inputOnly: true }),
  ...(['hi', 'lo'] as const).flatMap((word, WS) => [
    alias(`tlbre${word}`, 'tlbre', 'RT,RA', { WS }, { inputOnly: true }),
    alias(`tlbwe${word}`, 'tlbwe', 'RS,RA', { WS }, { inputOnly: true }),
  ]),
  ...['hwsync', 'lwsync', 'ptesync'].map((name, SYNC_L) => alias(name, 'sync', '', { SYNC_L })),
  // sync with L=1, which is a plain msync on processors that don't look at L.
  { mnemonic: 'lwsync', of: 'msync', syntax: '', mask: 0x00600000, value: 0x00200000 },
];
