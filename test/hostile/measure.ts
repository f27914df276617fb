/**
 * `--import`ed before a program: writes to the file POWERVISOR_MEASURE, when its process ends, the longest turn of the main
 * thread's event loop, as that thread's processor time and as it was on the clock, and the most memory that was resident.
 */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { isMainThread } from 'node:worker_threads';

export interface Measured {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly residentBytes: number;
}

const file = process.env['POWERVISOR_MEASURE'];

if (isMainThread && file !== undefined) {
  // What this program starts itself is another's.
  delete process.env['POWERVISOR_MEASURE'];
  const cpu = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let [wallMs, cpuMs] = [0, 0];
  let [lastWall, lastCpu] = [Number.NaN, Number.NaN];
  const turn = (): void => {
    const [nowWall, nowCpu] = [performance.now(), cpu()];
    if (nowWall - lastWall > wallMs) wallMs = nowWall - lastWall;
    if (nowCpu - lastCpu > cpuMs) cpuMs = nowCpu - lastCpu;
    [lastWall, lastCpu] = [nowWall, nowCpu];
    setImmediate(turn).unref();
  };
  // What a program does before its first turn is its start.
  setTimeout(turn, 1).unref();
  process.on('exit', () => {
    const residentBytes = process.resourceUsage().maxRSS * 1024;
    writeFileSync(file, JSON.stringify({ cpuMs, wallMs, residentBytes } satisfies Measured));
  });
}
