/** What the oracle does not know, as what it is the same as. */
import { Decoder, encodeField, type Level } from '../../src/isa/index.ts';

const NOP = 0x6000_0000;

const decoders = new WeakMap<ReadonlySet<Level>, Decoder>();

/**
 * The words that the oracle runs for the ones that we run. It refuses reserved bits of most instructions, which
 * processors ignore, and does not have every hint: its outcome of the plain instruction is the right one for all of them.
 */
export function equivalents(code: Uint32Array, levels: ReadonlySet<Level>): Uint32Array {
  let decoder = decoders.get(levels);
  if (!decoder) decoders.set(levels, (decoder = new Decoder(levels)));
  const equivalent = (word: number): number => {
    const instruction = decoder.find(word | 0);
    if (!instruction) return word;
    const { mnemonic, level, reserved } = instruction;
    if (/^nop\d+$/.test(mnemonic) || (mnemonic === 'icbt' && level === '2.07')) return NOP;
    const hints = mnemonic === 'dcbf' && level === '2.06' ? encodeField('DCBF_L', -1) : 0;
    return (word & ~reserved & ~hints) >>> 0;
  };
  return code.map(equivalent);
}
