/** A conversation of gdb with a guest's kernel, from before its first instruction to its shell. */
import { type ChildProcess, spawn } from 'node:child_process';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ourContender, qemuContender } from '../../bench/contenders.ts';
import { type Guest, guests, onCpu } from '../../bench/guests.ts';
import { Gdb } from './gdb.ts';

export type Host = 'powervisor' | 'qemu';

/** What was seen, under names: what is the same on every machine that runs the same kernel. */
export interface SessionResult {
  readonly seen: Readonly<Record<string, string>>;
  /** Packets that gdb sent until it had connected, and messages of both with replies and acknowledgements. */
  readonly connectPackets: number;
  readonly connectMessages: number;
  /** What the guest had printed in the end. */
  readonly console: string;
  readonly status: number | null;
}

export const sessionGuests: readonly string[] = guests.map(({ name }) => name).filter((name) => name !== 'book3s64-pv');

/** The guest of a name. @throws RangeError */
export function sessionGuest(name: string): Guest {
  const guest = guests.find((one) => one.name === name);
  if (guest === undefined) throw new RangeError(`there is no guest '${name}'; ${sessionGuests.join(', ')} fit`);
  return onCpu(guest);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The port that our command says it has. */
async function portOf(child: ChildProcess): Promise<number> {
  let text = '';
  for await (const piece of child.stderr ?? []) {
    text += String(piece);
    const port = /gdb: target remote \S+:(\d+)\n/.exec(text)?.[1];
    if (port !== undefined) return Number(port);
  }
  throw new Error(`the machine serves no gdb: ${text}`);
}

/** The machine's command, which waits for gdb. */
function commandOf(host: Host, guest: Guest, folder: string, port: number): string[] {
  const append = `console=${guest.console} quiet`;
  if (host === 'powervisor')
    return ourContender(guest, folder, 'assist', ['--gdb', String(port), '--wait']).command(append);
  return [...qemuContender(guest, folder).command(append), '-S', '-gdb', `tcp:127.0.0.1:${port}`];
}

/** The guest's console. */
class Console {
  text = '';
  #changed = (): void => {};

  constructor(child: ChildProcess) {
    child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      this.text += text;
      this.#changed();
    });
  }

  /** Resolves when the guest has printed it; false: it has not in so many seconds. */
  async until(mark: string, seconds: number): Promise<boolean> {
    const end = Date.now() + seconds * 1000;
    while (!this.text.includes(mark)) {
      if (Date.now() > end) return false;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.#changed = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return true;
  }
}

/** Machines start slowly where much else runs. */
const TARGET_SECONDS = 90;
const END_MS = 20_000;
const BOOT_SECONDS = 120;

/** Has the whole conversation; `at` is where the guest is stopped first. @throws Error where it goes wrong. */
export async function runSession(
  host: Host,
  guest: Guest,
  folder: string,
  at = 'start_kernel',
): Promise<SessionResult> {
  // Ours takes any port that is free, and says which; QEMU is told one, which was free a moment before.
  const wanted = host === 'qemu' ? await freePort() : 0;
  const [program = '', ...words] = commandOf(host, guest, folder, wanted);
  const child = spawn(program, words, { stdio: ['pipe', 'pipe', host === 'qemu' ? 'inherit' : 'pipe'] });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const console = new Console(child);
  const gdb = new Gdb();
  try {
    for (const line of ['set pagination off', 'set confirm off', 'set width 0', 'set debuginfod enabled off'])
      await gdb.command(line);
    await gdb.command(`file ${join(folder, 'vmlinux')}`);
    const port = wanted || (await portOf(child));
    const { packets, messages } = await connect(gdb, port);
    const seen = await converse(gdb, console, at);
    child.stdin?.write('echo still $((6 * 7)); reboot -f\n');
    if (!(await console.until('still 42', BOOT_SECONDS)))
      throw new Error(`the shell does not answer:\n${console.text}`);
    const late = new AbortController();
    const status = await Promise.race([ended, wait(END_MS, null, { signal: late.signal }).catch(() => null)]);
    late.abort();
    return { seen, connectPackets: packets, connectMessages: messages, console: console.text, status };
  } finally {
    gdb.close();
    child.kill('SIGKILL');
  }
}

/** Connects as soon as somebody listens; answers what that took. */
async function connect(gdb: Gdb, port: number): Promise<{ packets: number; messages: number }> {
  const end = Date.now() + TARGET_SECONDS * 1000;
  await gdb.command('set debug remote 1');
  for (;;) {
    const answer = await gdb.command(`target remote 127.0.0.1:${port}`);
    if (answer.includes('start_remote_1: exit')) {
      await gdb.command('set debug remote 0');
      const packets = answer.split('Sending packet').length - 1;
      // Each is answered, and where the server acknowledges so does gdb.
      return { packets, messages: 2 * (packets + answer.split('Received Ack').length - 1) };
    }
    if (Date.now() > end) throw new Error(`gdb cannot connect: ${answer}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function converse(gdb: Gdb, console: Console, at: string): Promise<Record<string, string>> {
  const seen: Record<string, string> = {};
  const value = (what: string): Promise<string> => gdb.command(`output ${what}`);
  const expect = async (line: string, pattern: RegExp): Promise<string> => {
    const answer = await gdb.command(line);
    if (!pattern.test(answer)) throw new Error(`gdb's answer to '${line}': ${answer}`);
    return answer;
  };
  await expect(`break ${at}`, /^Breakpoint 1 at/);
  await expect('continue', /Breakpoint 1, .*start_kernel/);
  seen['start_kernel'] = await value('/x $pc');
  seen['instructions'] = await gdb.command('x/4i $pc');
  seen['called from'] = /^#1 .*$/m.exec(await gdb.command('bt 2'))?.[0] ?? '';
  for (const step of ['first', 'second', 'third']) {
    await gdb.command('stepi');
    seen[`after the ${step} step`] = await value('/x $pc');
  }
  seen['banner'] = (await gdb.command('x/s (char*)&linux_banner')).replace(/^.*?:\s*/, '');
  await gdb.command("find /b (char*)&init_task, +8192, 's','w','a','p','p','e','r'");
  seen["the first task's name"] = (await gdb.command('x/s $_')).replace(/^.*?:\s*/, '');
  const scratch = '*(unsigned int*)&loops_per_jiffy';
  const before = await value(scratch);
  await gdb.command(`set var ${scratch} = 0x12345678`);
  seen['what was written'] = await value(`/x ${scratch}`);
  await gdb.command(`set var ${scratch} = ${before}`);
  seen['what was there'] = before;
  const saved = await value('$r31');
  await gdb.command('set var $r31 = 0x1234');
  seen['a register that was written'] = await value('/x $r31');
  await gdb.command(`set var $r31 = ${saved}`);
  seen['a floating-point register'] = await value('$f1');
  await expect('delete 1', /^$/);
  await expect('watch *(unsigned long*)&jiffies', /atchpoint 2/);
  const change = await expect('continue', /Old value = /);
  seen['jiffies, before'] = /Old value = (.*)/.exec(change)?.[1] ?? '';
  seen['jiffies, after'] = /New value = (.*)/.exec(change)?.[1] ?? '';
  seen['who counted'] = /^\S+/.exec(await gdb.command('info symbol $pc'))?.[0] ?? '';
  await expect('delete 2', /^$/);
  await gdb.go();
  await new Promise((resolve) => setTimeout(resolve, 100));
  gdb.interrupt();
  const stop = await gdb.finish('Ctrl-C');
  if (!/SIGINT/.test(stop)) throw new Error(`Ctrl-C: ${stop}`);
  await gdb.go();
  if (!(await console.until('GUEST-READY', BOOT_SECONDS))) throw new Error(`no shell:\n${console.text}`);
  gdb.interrupt();
  await gdb.finish('Ctrl-C');
  seen['the banner once more'] = (await gdb.command('x/s (char*)&linux_banner')).replace(/^.*?:\s*/, '');
  await gdb.command('detach');
  return seen;
}
