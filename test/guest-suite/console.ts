/**
 * A conversation with the shell of a guest whose console is a process's standard input and output: `powervisor boot` or
 * QEMU. One command after another, each with its output and status.
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';

/** What ends a conversation: the machine ended, or did not answer. */
export class ConsoleError extends Error {
  override name = 'ConsoleError';
}

export interface Answer {
  /** What the command printed, errors too, with lines that end in one line feed. */
  readonly output: string;
  /** The shell's status; undefined when the command had to be ended. */
  readonly status: number | undefined;
  /** On the host's clock. */
  readonly seconds: number;
}

/** Control characters of the guest's terminal. */
const INTERRUPT = '\x03';
const QUIT = '\x1c';
/** Stands around the status; the shell makes it of its octal form, so that no echo of the line has it. */
const MARK = '\x1e';
const OCTAL_MARK = '\\036';
/** A terminal's line discipline takes no longer line (N_TTY_BUF_SIZE). */
const LONGEST_LINE = 4095;
/** What a command that is asked to end may take for it, seconds. */
const GRACE_SECONDS = 30;

/** A text as one word of a POSIX shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

export class GuestConsole {
  /** All that the console has printed. */
  text = '';
  readonly #child: ChildProcessWithoutNullStreams;
  #ended: string | undefined;
  #heard = (): void => {};
  readonly #onText: (text: string) => void;

  private constructor(command: readonly string[], onText: (text: string) => void) {
    const [program = '', ...words] = command;
    this.#onText = onText;
    this.#child = spawn(program, words, { stdio: 'pipe' });
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    // A machine that ended is told of by its end.
    this.#child.stdin.on('error', () => {});
    this.#child.on('error', (error) => this.#end(error.message));
    this.#child.on('close', (status, signal) => this.#end(`it ended with ${signal ?? `status ${status}`}`));
  }

  /**
   * Starts the machine and waits for the guest's shell: a line GUEST-READY, and a prompt after it. `onText` is given what
   * the console prints. `user`: there is a login in place of that line, and this user has no password. @throws ConsoleError
   */
  static async boot(
    command: readonly string[],
    timeoutSeconds: number,
    onText: (text: string) => void = () => {},
    user?: string,
  ): Promise<GuestConsole> {
    const console = new GuestConsole(command, onText);
    try {
      const ready =
        user === undefined
          ? await console.#until(/^GUEST-READY /m, 0, timeoutSeconds, 'GUEST-READY')
          : await console.#until(/login: $/, 0, timeoutSeconds, 'login');
      if (user !== undefined) console.#type(`${user}\n`);
      const prompt = await console.#until(/[#$] $/, ready, timeoutSeconds, 'prompt');
      console.#type(`stty -echo 2>/dev/null; export TERM=dumb PAGER=cat PS1= PS2=; exec bash --norc --noediting\n`);
      console.#type(`printf '${OCTAL_MARK}ok${OCTAL_MARK}'\n`);
      await console.#until(new RegExp(`${MARK}ok${MARK}`), prompt, timeoutSeconds, 'shell');
    } catch (error) {
      await console.kill();
      throw error;
    }
    return console;
  }

  /** The machine's process. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Runs a command in a bash of its own, without input. @throws ConsoleError when the machine does not answer any more */
  async run(command: string, timeoutSeconds: number): Promise<Answer> {
    const line = `bash -c ${quoted(command)} </dev/null 2>&1; printf '${OCTAL_MARK}%d${OCTAL_MARK}' $?\n`;
    const long = line.split('\n').find((one) => one.length >= LONGEST_LINE);
    if (long !== undefined) throw new ConsoleError(`a terminal takes no line of ${long.length} characters`);
    const status = new RegExp(`${MARK}(\\d+)${MARK}`);
    const begin = this.text.length;
    const start = performance.now();
    this.#type(line);
    let inTime = true;
    try {
      await this.#until(status, begin, timeoutSeconds, 'answer');
    } catch (error) {
      if (this.#ended !== undefined) throw error;
      inTime = false;
      await this.#interrupt(status, begin);
    }
    const seconds = (performance.now() - start) / 1000;
    const text = this.text.slice(begin);
    const found = status.exec(text);
    const output = text.slice(0, found?.index).replaceAll('\r', '');
    return { output, status: inTime ? Number(found?.[1]) : undefined, seconds };
  }

  /** Makes a file in the guest. @throws ConsoleError */
  async writeFile(path: string, contents: string): Promise<void> {
    const { status, output } = await this.run(`cat > ${quoted(path)} <<'END-OF-FILE'\n${contents}\nEND-OF-FILE`, 60);
    if (status !== 0) throw new ConsoleError(`${path} cannot be written: ${output}`);
  }

  /** Has the guest end itself by a command, and answers how the machine ended. @throws ConsoleError when it does not */
  async leave(command: string, timeoutSeconds: number): Promise<string> {
    this.#type(`${command}\n`);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutSeconds * 1000);
    await this.#untilEnd();
    clearTimeout(timer);
    return this.#ended ?? '';
  }

  async #untilEnd(): Promise<void> {
    while (this.#ended === undefined)
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
  }

  /** Ends it at once, without a word. */
  killNow(): void {
    if (this.#ended === undefined) this.#child.kill('SIGKILL');
  }

  /** Ends the machine from outside. */
  async kill(): Promise<void> {
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5000);
    await this.#untilEnd();
    clearTimeout(timer);
  }

  /** As a user would end a command: with Ctrl-C, then with Ctrl-\\. */
  async #interrupt(status: RegExp, begin: number): Promise<void> {
    for (const key of [INTERRUPT, QUIT]) {
      this.#type(key);
      try {
        await this.#until(status, begin, GRACE_SECONDS, 'end of the command');
        return;
      } catch (error) {
        if (key === QUIT || this.#ended !== undefined) throw error;
      }
    }
  }

  #type(text: string): void {
    this.#child.stdin.write(text);
  }

  #hear(text: string): void {
    this.text += text;
    this.#onText(text);
    this.#heard();
  }

  #end(how: string): void {
    this.#ended ??= how;
    this.#heard();
  }

  /** Waits until the text after `from` matches; answers where the match ends. */
  async #until(pattern: RegExp, from: number, timeoutSeconds: number, what: string): Promise<number> {
    const deadline = performance.now() + timeoutSeconds * 1000;
    for (;;) {
      const match = pattern.exec(this.text.slice(from));
      if (match) return from + match.index + match[0].length;
      const left = deadline - performance.now();
      const last = this.text.slice(from).trimEnd().split('\n').slice(-3).join(' ').trim();
      if (this.#ended !== undefined) throw new ConsoleError(`no ${what}: ${this.#ended}; last: ${last}`);
      if (left <= 0) throw new ConsoleError(`no ${what} in ${timeoutSeconds} s; last: ${last}`);
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
        timer = setTimeout(resolve, left);
      });
      clearTimeout(timer);
    }
  }
}
