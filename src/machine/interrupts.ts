/** Whatever has numbered interrupt inputs: an interrupt controller, or the processor's pins. */
export interface InterruptSink {
  /** Called only when the level of the input changes. `input` counts as the sink's manual counts. */
  setInput(input: number, active: boolean): void;
}

/** An input that several lines go to: it is active as long as one of them is. */
export class SharedInput implements InterruptSink {
  readonly #sink: InterruptSink;
  #active = 0;

  constructor(sink: InterruptSink) {
    this.#sink = sink;
  }

  setInput(input: number, active: boolean): void {
    const before = this.#active;
    this.#active += active ? 1 : -1;
    if (before === 0 || this.#active === 0) this.#sink.setInput(input, active);
  }
}

/**
 * One interrupt line, as an object: its device asserts and deasserts it and knows nothing of the other end.
 * Levels are logical (active or not); a board's active-low wires are not modelled.
 */
export class InterruptLine {
  #active = false;
  #sink: InterruptSink | undefined;
  #input = 0;

  get active(): boolean {
    return this.#active;
  }

  /** Solders the line to an input. A line that is already active is seen at once. */
  connect(sink: InterruptSink, input: number): void {
    this.#sink = sink;
    this.#input = input;
    if (this.#active) sink.setInput(input, true);
  }

  assert(): void {
    if (this.#active) return;
    this.#active = true;
    this.#sink?.setInput(this.#input, true);
  }

  deassert(): void {
    if (!this.#active) return;
    this.#active = false;
    this.#sink?.setInput(this.#input, false);
  }

  set(active: boolean): void {
    if (active) this.assert();
    else this.deassert();
  }
}

/**
 * A controller that hands its vectors to the processor by itself (Power ISA 2.07 Book III-E, "External Proxy Facility"): the
 * processor has the vector in EPR when its handler begins.
 */
export interface ExternalProxy {
  /** Acknowledges the most urgent interrupt and answers its vector; undefined: the facility is off, nothing happens. */
  proxied(): number | undefined;
}
