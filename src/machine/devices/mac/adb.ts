import { type DeviceState, savedNumber, savedNumbers, savedPart } from '../../device.ts';
import { ADB_KEYS } from './adb-keys.ts';

/** Commands, in the low bits behind the device's address (Apple, Guide to the Macintosh Family Hardware, chapter 8). */
const RESET = 0;
const FLUSH = 1;
const LISTEN = 2;
const TALK = 3;

/** Handlers that a write to register 3 names, which are not kept: self test, and what moves a device to another address. */
const SELF_TEST = 0xff;
const MOVE = 0xfe;
const MOVE_AND_ENABLE = 0x00;

/** Register 3: exceptional event and service request enabled. */
const SERVICE_REQUEST = 0x60;

const KEYBOARD_ADDRESS = 2;
const MOUSE_ADDRESS = 3;
/** An extended keyboard; it understands two handlers more. */
const KEYBOARD_HANDLERS = [1, 2, 3] as const;
/** A mouse of 100 or 200 counts an inch. */
const MOUSE_HANDLERS = [2, 1] as const;

/** What has been typed and not read: more is dropped. */
const QUEUE_KEYS = 128;
/** More than one report says, in either direction. */
const MOST_MOTION = 63;
const MOTION_LIMIT = 10_000;

const KEY_UP = 0x80;
const NO_KEY = 0xff;
/** The power key is two codes of its own. */
const POWER = 0x7f;

/** A device on the bus. Registers are lists of up to 8 bytes. */
abstract class AdbDevice {
  address: number;
  handler: number;
  readonly #firstAddress: number;
  readonly #handlers: readonly number[];

  constructor(address: number, handlers: readonly number[]) {
    this.address = this.#firstAddress = address;
    this.#handlers = handlers;
    this.handler = handlers[0] as number;
  }

  /** Register 0, whose being read takes what is in it; empty: it has nothing to say, and does not answer. */
  protected abstract report(): number[];
  protected abstract clear(): void;
  /** There is something in register 0. */
  abstract get hasReport(): boolean;

  reset(): void {
    this.address = this.#firstAddress;
    this.handler = this.#handlers[0] as number;
    this.clear();
  }

  flush(): void {
    this.clear();
  }

  talk(register: number): number[] {
    if (register === 0) return this.report();
    if (register === 3) return [SERVICE_REQUEST | this.address, this.handler];
    return this.talkOther(register);
  }

  protected talkOther(_register: number): number[] {
    return [];
  }

  listen(register: number, bytes: readonly number[]): void {
    if (register !== 3 || bytes.length < 2) return;
    const [address = 0, handler = 0] = bytes;
    if (handler === MOVE || handler === MOVE_AND_ENABLE) this.address = address & 15;
    else if (handler !== SELF_TEST && this.#handlers.includes(handler)) this.handler = handler;
  }

  save(): DeviceState {
    return { address: this.address, handler: this.handler };
  }

  restore(state: DeviceState): void {
    this.address = savedNumber(state, 'address') & 15;
    const handler = savedNumber(state, 'handler');
    this.handler = this.#handlers.includes(handler) ? handler : (this.#handlers[0] as number);
  }
}

class AdbKeyboard extends AdbDevice {
  #keys: number[] = [];
  /** Codes of keys that are down. */
  readonly #down = new Set<number>();

  constructor() {
    super(KEYBOARD_ADDRESS, KEYBOARD_HANDLERS);
  }

  get hasReport(): boolean {
    return this.#keys.length > 0;
  }

  /** A key by its name (`KeyboardEvent.code`). Answers whether the keyboard has it. */
  key(name: string, isDown: boolean): boolean {
    const code = ADB_KEYS.get(name);
    if (code === undefined) return false;
    if (isDown) this.#down.add(code);
    else this.#down.delete(code);
    if (this.#keys.length < QUEUE_KEYS) this.#keys.push(isDown ? code : code | KEY_UP);
    return true;
  }

  protected report(): number[] {
    const first = this.#keys.shift();
    if (first === undefined) return [];
    if ((first & ~KEY_UP) === POWER) return [first, first];
    const second = this.#keys[0];
    if (second === undefined || (second & ~KEY_UP) === POWER) return [first, NO_KEY];
    this.#keys.shift();
    return [first, second];
  }

  /** Register 2: modifiers that are down are zeroes, as are lights that are on. */
  protected override talkOther(register: number): number[] {
    if (register !== 2) return [];
    const up = (code: number, bit: number): number => (this.#down.has(code) ? 0 : bit);
    return [
      0x80 | up(0x39, 0x20) | up(0x7f, 0x10) | up(0x36, 0x08) | up(0x38, 0x04) | up(0x3a, 0x02) | up(0x37, 0x01) | 0x40,
      0xff,
    ];
  }

  protected clear(): void {
    this.#keys = [];
  }

  override save(): DeviceState {
    return { ...super.save(), keys: [...this.#keys], down: [...this.#down] };
  }

  override restore(state: DeviceState): void {
    super.restore(state);
    this.#keys = savedNumbers(state, 'keys', QUEUE_KEYS).map((key) => key & 0xff);
    this.#down.clear();
    for (const code of savedNumbers(state, 'down', 128)) this.#down.add(code & 0x7f);
  }
}

class AdbMouse extends AdbDevice {
  #x = 0;
  #y = 0;
  /** Bits: left, right; what was reported last. */
  #buttons = 0;
  #reported = 0;

  constructor() {
    super(MOUSE_ADDRESS, MOUSE_HANDLERS);
  }

  get hasReport(): boolean {
    return this.#x !== 0 || this.#y !== 0 || this.#buttons !== this.#reported;
  }

  move(x: number, y: number, buttons: number): void {
    const add = (sum: number, more: number): number => Math.max(-MOTION_LIMIT, Math.min(MOTION_LIMIT, sum + more));
    this.#x = add(this.#x, x);
    this.#y = add(this.#y, y);
    this.#buttons = buttons & 3;
  }

  /** Two bytes: each has a button, up if its bit is set, and a motion in seven bits; down and right are positive. */
  protected report(): number[] {
    if (!this.hasReport) return [];
    const step = (sum: number): number => Math.max(-MOST_MOTION, Math.min(MOST_MOTION, sum));
    const x = step(this.#x);
    const y = step(this.#y);
    this.#x -= x;
    this.#y -= y;
    this.#reported = this.#buttons;
    return [(y & 0x7f) | ((this.#buttons & 1) === 0 ? 0x80 : 0), (x & 0x7f) | ((this.#buttons & 2) === 0 ? 0x80 : 0)];
  }

  protected clear(): void {
    this.#x = this.#y = this.#buttons = this.#reported = 0;
  }

  override save(): DeviceState {
    const motion = (sum: number): number => sum + MOTION_LIMIT;
    return {
      ...super.save(),
      motion: [motion(this.#x), motion(this.#y)],
      buttons: this.#buttons,
      reported: this.#reported,
    };
  }

  override restore(state: DeviceState): void {
    super.restore(state);
    const [x = MOTION_LIMIT, y = MOTION_LIMIT] = savedNumbers(state, 'motion', 2);
    this.#x = Math.min(x, 2 * MOTION_LIMIT) - MOTION_LIMIT;
    this.#y = Math.min(y, 2 * MOTION_LIMIT) - MOTION_LIMIT;
    this.#buttons = savedNumber(state, 'buttons') & 3;
    this.#reported = savedNumber(state, 'reported') & 3;
  }
}

/** The Apple Desktop Bus with a keyboard and a mouse. */
export class AdbBus {
  readonly keyboard = new AdbKeyboard();
  readonly mouse = new AdbMouse();
  readonly #devices: readonly AdbDevice[] = [this.keyboard, this.mouse];

  /** Does a command, with the bytes that a listening device gets. Answers what the device says; undefined: nobody answers. */
  request(command: number, bytes: readonly number[]): number[] | undefined {
    if ((command & 15) === RESET) {
      this.reset();
      return [];
    }
    const device = this.#devices.find(({ address }) => address === command >> 4);
    if (device === undefined) return undefined;
    const register = command & 3;
    switch ((command >> 2) & 3) {
      case LISTEN:
        device.listen(register, bytes);
        return [];
      case TALK: {
        const answer = device.talk(register);
        return answer.length > 0 ? answer : undefined;
      }
      default:
        if ((command & 15) === FLUSH) device.flush();
        return [];
    }
  }

  /** Asks the devices of a mask of addresses, as a controller does by itself: the command and its answer of the first that has one. */
  poll(mask: number): number[] | undefined {
    for (const device of this.#devices) {
      if ((mask & (1 << device.address)) === 0 || !device.hasReport) continue;
      return [(device.address << 4) | (TALK << 2), ...device.talk(0)];
    }
    return undefined;
  }

  reset(): void {
    for (const device of this.#devices) device.reset();
  }

  save(): DeviceState {
    return { keyboard: this.keyboard.save(), mouse: this.mouse.save() };
  }

  restore(state: DeviceState): void {
    this.keyboard.restore(savedPart(state, 'keyboard'));
    this.mouse.restore(savedPart(state, 'mouse'));
  }
}
