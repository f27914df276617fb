/** A guest's run in several processes: at each stop it is saved, and goes on in the next one. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Accel } from '../../src/kvm/index.ts';
import type { SnapshotCompression } from '../../src/machine/index.ts';
import type { LegOrder, LegReport } from './leg.ts';

export interface Journey {
  readonly boot: NonNullable<LegOrder['boot']>;
  /** The first is booted with, each other one gone on with after the stop of that number. */
  readonly accels: readonly [Accel, ...Accel[]];
  readonly icount?: number;
  /** Guest's times of the stops, nanoseconds. */
  readonly stops: readonly number[];
  readonly compression: SnapshotCompression;
}

export interface Arrival {
  readonly end: string;
  readonly time: number;
  readonly output: string;
  /** Stops that it came to before its end. */
  readonly stops: number;
}

const LEG = join(import.meta.dirname, 'leg.ts');

/** @throws Error with what a leg said on standard error, if one fails. */
export async function travel({ boot, accels, icount, stops, compression }: Journey): Promise<Arrival> {
  const folder = mkdtempSync(join(tmpdir(), 'powervisor-journey-'));
  try {
    let output = '';
    for (let leg = 0; ; leg++) {
      const until = stops[leg];
      const said = await runLeg({
        ...(leg === 0 ? { boot } : { from: join(folder, `${leg - 1}`) }),
        accel: accels[leg % accels.length] as Accel,
        ...(icount !== undefined && { icount }),
        ...(until !== undefined && { until }),
        to: join(folder, `${leg}`),
        compression,
      });
      output += Buffer.from(said.output, 'base64').toString('latin1');
      if (leg > 0) rmSync(join(folder, `${leg - 1}`));
      if (said.end !== undefined) return { end: said.end, time: said.time, output, stops: leg };
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function runLeg(order: LegOrder): Promise<LegReport> {
  const child = spawn(process.execPath, [LEG, JSON.stringify(order)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      if (status === 0 && stdout !== '') resolve(JSON.parse(stdout));
      else reject(new Error(`a leg ended with status ${status}: ${stderr.trim()}`));
    });
  });
}
