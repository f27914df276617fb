/** A growing byte buffer with WebAssembly's integer encodings (WebAssembly core specification 3.0, section 5.2). */
export class Code {
  bytes = new Uint8Array(1024);
  length = 0;

  #reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }

  clear(): void {
    this.length = 0;
  }

  u8(value: number): void {
    if (this.length === this.bytes.length) this.#reserve(1);
    this.bytes[this.length++] = value;
  }

  unsigned(value: number): void {
    let rest = value >>> 0;
    while (rest > 127) {
      this.u8((rest & 127) | 128);
      rest >>>= 7;
    }
    this.u8(rest);
  }

  /** A signed LEB128 of an int32. */
  signed(value: number): void {
    let rest = value | 0;
    for (;;) {
      const low = rest & 127;
      rest >>= 7;
      if ((rest === 0 && !(low & 64)) || (rest === -1 && low & 64)) {
        this.u8(low);
        return;
      }
      this.u8(low | 128);
    }
  }

  /** A signed LEB128 of a 64-bit value. */
  signed64(value: number | bigint): void {
    if (typeof value === 'number' && value === (value | 0)) {
      this.signed(value);
      return;
    }
    let rest = BigInt.asIntN(64, BigInt(value));
    for (;;) {
      const low = Number(rest & 127n);
      rest >>= 7n;
      if ((rest === 0n && !(low & 64)) || (rest === -1n && low & 64)) {
        this.u8(low);
        return;
      }
      this.u8(low | 128);
    }
  }

  /** Sixteen bytes, the lowest first. */
  bytes16(value: bigint): void {
    for (let i = 0n; i < 128n; i += 8n) this.u8(Number((value >> i) & 0xffn));
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.bytes.set(bytes, this.length);
    this.length += bytes.length;
  }

  name(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.unsigned(bytes.length);
    this.append(bytes);
  }

  take(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  view(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}
