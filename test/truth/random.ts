/** A small generator of random numbers that repeats exactly from its seed (sfc32's recurrence on four words). */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = 0x9e3779b9 | 0;
    this.#c = Math.imul(seed, 0x85ebca6b) | 0;
    for (let i = 0; i < 12; i++) this.word();
  }

  /** 32 random bits, as an int32. */
  word(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum;
  }

  /** 0 … limit-1. */
  below(limit: number): number {
    return Math.floor(((this.word() >>> 0) / 0x1_0000_0000) * limit);
  }

  /** Whether something with this probability happens. */
  chance(probability: number): boolean {
    return (this.word() >>> 0) / 0x1_0000_0000 < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }
}
