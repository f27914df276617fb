/** DSISR of an alignment interrupt, made from the instruction (PowerPC 970FX User's Manual, "Alignment Interrupt"). */
export function alignmentDsisr(word: number): number {
  const registers = (word >>> 16) & 0x3ff;
  if (word >>> 26 === 31) {
    // X form: bits 15:16 are instruction bits 29:30, bit 17 is bit 25, bits 18:21 are bits 21:24.
    return ((word & 0x6) << 14) | ((word & 0x40) << 8) | ((word & 0x780) << 3) | registers;
  }
  // D and DS forms: bits 17 and 18:21 are opcode bits 5 and 1:4; those of DS forms also have bits 30:31.
  const scaled = word >>> 26 === 58 || word >>> 26 === 62 ? (word & 0x3) << 17 : 0;
  return scaled | ((word >>> 12) & 0x4000) | ((word >>> 17) & 0x3c00) | registers;
}
