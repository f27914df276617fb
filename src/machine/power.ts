/** What ends or restarts a machine from inside. */
export interface PowerEvent {
  readonly kind: 'shutdown' | 'reset' | 'crash';
  /** For a crash: what the guest, or the device on its behalf, says of it; one line. */
  readonly message: string;
}

/** The machine's power: devices press it, and the machine looks after each exit. The first press counts. */
export class PowerSwitch {
  #pressed: PowerEvent | undefined;

  get pressed(): PowerEvent | undefined {
    return this.#pressed;
  }

  press(kind: PowerEvent['kind'], message = ''): void {
    this.#pressed ??= { kind, message };
  }

  /** Takes what was pressed, if anything. */
  release(): PowerEvent | undefined {
    const pressed = this.#pressed;
    this.#pressed = undefined;
    return pressed;
  }
}
