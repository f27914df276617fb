/** Between the single and the double format, as floating-point loads and stores convert (Power ISA 2.07 Book I, 4.6.2 and 4.6.3). */

/** Exponents are larger by this in doubles. */
const BIAS = 896;
const LEAST_NORMAL = BIAS + 1;

/** The word of a double's two words; what is too small for it is a zero. */
export function singleOf(low: number, high: number): number {
  const exponent = (high >>> 20) & 0x7ff;
  if (exponent >= LEAST_NORMAL) return (high & 0xc000_0000) | ((high << 3) & 0x3fff_fff8) | (low >>> 29);
  const sign = high & 0x8000_0000;
  const fraction = 0x0080_0000 | ((high << 3) & 0x007f_fff8) | (low >>> 29);
  return exponent >= LEAST_NORMAL - 23 ? sign | (fraction >>> (LEAST_NORMAL - exponent)) : sign;
}

/** Puts the double of a single into two words. */
export function putDouble(words: Int32Array, at: number, single: number): void {
  const sign = single & 0x8000_0000;
  let exponent = (single >>> 23) & 0xff;
  let fraction = single & 0x007f_ffff;
  if (exponent === 0 && fraction !== 0) {
    const shift = Math.clz32(fraction) - 8;
    fraction = (fraction << shift) & 0x007f_ffff;
    exponent = LEAST_NORMAL - shift;
  } else if (exponent !== 0) exponent = exponent === 0xff ? 0x7ff : exponent + BIAS;
  words[at] = fraction << 29;
  words[at + 1] = sign | (exponent << 20) | (fraction >>> 3);
}
