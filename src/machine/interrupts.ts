/** Whatever has numbered interrupt inputs: an interrupt controller, or the processor's pins. */
export interface InterruptSink {
  /** Called only when the level of the input changes. `input` counts as the sink's manual counts. */
  setInput(input: number, active: boolean): void;
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
