/** gdb-multiarch under a script's control. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

const PROGRAM = 'gdb-multiarch';
/** What gdb is told to print behind a command's output. */
const MARK = '@@done';
const COMMAND_MS = 120_000;

export function hasGdb(): boolean {
  return spawnSync(PROGRAM, ['--version'], { stdio: 'ignore' }).status === 0;
}

export class Gdb {
  readonly #child: ChildProcess;
  #output = '';
  #changed = (): void => {};
  #isOver = false;
  /** Of the command that was given last: an end of one before is not its. */
  #mark = '';
  #commands = 0;

  constructor() {
    this.#child = spawn(PROGRAM, ['-nx', '-q'], { stdio: ['pipe', 'pipe', 'pipe'] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text;
        this.#changed();
      });
    this.#child.on('close', () => {
      this.#isOver = true;
      this.#changed();
    });
  }

  /** What a command prints. @throws when gdb ends, or has not printed it in two minutes. */
  async command(line: string): Promise<string> {
    this.begin(line);
    return this.finish(line);
  }

  /** Gives a command whose output `finish` answers. */
  begin(line: string): void {
    this.#output = '';
    this.#mark = `${MARK}${++this.#commands}`;
    this.#child.stdin?.write(`${line}\necho ${this.#mark}\\n\n`);
  }

  async finish(what: string): Promise<string> {
    await this.#until(`${this.#mark}\n`, what);
    return this.#output.replaceAll('(gdb) ', '').replace(`${this.#mark}\n`, '').trim();
  }

  async #until(mark: string, what: string): Promise<void> {
    const end = Date.now() + COMMAND_MS;
    while (!this.#output.includes(mark)) {
      if (this.#isOver) throw new Error(`gdb ended at '${what}': ${this.#output}`);
      if (Date.now() > end) throw new Error(`gdb does not answer '${what}': ${this.#output}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  /** Has the guest run; `finish` answers with what stops it. */
  async go(): Promise<void> {
    this.begin('continue');
    await this.#until('Continuing.', 'continue');
  }

  /** Ctrl-C. */
  interrupt(): void {
    this.#child.kill('SIGINT');
  }

  close(): void {
    this.#child.stdin?.end('kill\nquit\n');
    setTimeout(() => this.#child.kill('SIGKILL'), 2000).unref();
  }
}
