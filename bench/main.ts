/**
 * `npm run bench`: Powervisor against QEMU on the same guest and programs, in turns. Prints a table of medians and
 * ratios (QEMU's time / our time: above 1 we are faster) and writes JSON. `npm run bench -- --help` lists the options.
 */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import { Command, CommanderError } from 'commander';
import type { Accel } from '../src/kvm/index.ts';
import { debianTools } from '../test/guest-suite/machines.ts';
import {
  buildCommand,
  type Contender,
  commitContender,
  filledContender,
  guestFolder,
  libraryContenders,
  ourContender,
  qemuContender,
  qemuVersion,
  root,
  sourcesChangedSince,
} from './contenders.ts';
import { DevicesBench, deviceMetrics } from './devices.ts';
import { echoMetrics, echoWorkload, pvGain } from './echo.ts';
import { BenchError } from './errors.ts';
import { countExits, exitRatios, formatExits } from './exits.ts';
import { type Guest, guests, type Metric, metricsOf, onCpu, programs } from './guests.ts';
import { NetworkBench, networkMetrics } from './network.ts';
import { programMetrics, racePrograms } from './programs.ts';
import { qemuOfSuite } from './qemu-suite.ts';
import { programsWorkload, race } from './race.ts';
import { formatClocks, formatReport, formatThreads, makeReport } from './report.ts';
import { formatTrapCosts, measureTrapCosts } from './trap-cost.ts';
import { book3s64, booke } from './trap-guests.ts';

interface Options {
  rounds: number;
  guest: Guest;
  cpu?: string;
  accel?: Accel[];
  only?: string[];
  bootOnly?: boolean;
  self?: boolean;
  library?: boolean;
  echo?: boolean;
  network?: boolean;
  devices?: boolean;
  codeCache?: boolean;
  against?: string;
  qemuSuite?: string;
  programs?: boolean;
  threads?: boolean;
  exits?: boolean;
  trapCost?: boolean;
  timeout: number;
  json?: string;
  logs?: string;
  markdown?: boolean;
}

const [defaultGuest] = guests;
const guestNames = guests.map(({ name }) => name).join(', ');
const accels = ['trap', 'pv', 'assist'] as const satisfies readonly Accel[];

function parseGuest(name: string): Guest {
  const guest = guests.find((one) => one.name === name);
  if (guest !== undefined) return guest;
  throw new BenchError(`there is no guest '${name}'; there is: ${guestNames}`, 2);
}

function parseAccels(text: string): Accel[] {
  return text.split(',').map((word) => {
    const accel = accels.find((one) => one === word);
    if (accel === undefined) throw new BenchError(`there is no accel '${word}'; there is: ${accels.join(', ')}`, 2);
    return accel;
  });
}

function parsePositive(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new BenchError(`'${text}' is not a number from 1 on`, 2);
}

/** The guest on the processor that is named. */
function chooseCpu({ guest, cpu }: Options): Guest {
  if (cpu === undefined || guest.cpus.includes(cpu)) return onCpu(guest, cpu);
  const fit = guest.cpus.length > 0 ? `there is: ${guest.cpus.join(', ')}` : 'it has one of its own';
  throw new BenchError(`guest ${guest.name} has no processor '${cpu}'; ${fit}`, 2);
}

/** Ways to serve privileged instructions, out of those that the guest has. */
function chooseAccels({ guest, accel }: Options, standard: readonly Accel[]): readonly Accel[] {
  for (const one of accel ?? [])
    if (!guest.accels.includes(one))
      throw new BenchError(`guest ${guest.name} has no accel '${one}'; there is: ${guest.accels.join(', ')}`, 2);
  return accel ?? standard;
}

/** The metrics that the words name: a whole program ("bench-mem" or "mem") or one figure of it ("chase1M"). */
function chooseMetrics(guest: Guest, words: readonly string[] | undefined): readonly Metric[] {
  const metrics = metricsOf(guest);
  if (words === undefined) return metrics;
  const chosen = new Set<Metric>();
  for (const word of words) {
    const found = metrics.filter(
      ({ name, program }) =>
        program !== undefined &&
        [name, name.replace(`${program} `, ''), program, program.replace('bench-', '')].includes(word),
    );
    if (found.length === 0) throw new BenchError(`there is no figure '${word}'; a name of the table fits`, 2);
    for (const metric of found) chosen.add(metric);
  }
  return metrics.filter((metric) => metric.program === undefined || chosen.has(metric));
}

function gitCommit(): string {
  const git = (...words: string[]): string =>
    spawnSync('git', words, { cwd: root, encoding: 'utf8' }).stdout?.trim() ?? '';
  const changed = git('status', '--porcelain', '--', 'src', 'bin') !== '';
  return `${git('rev-parse', '--short', 'HEAD')}${changed ? ' and changes' : ''}`;
}

function hostFacts(): Record<string, string | number> {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch} ${release()}`,
    node: process.version,
    v8: process.versions.v8,
  };
}

function writeJson(file: string | undefined, data: object): void {
  if (file !== undefined)
    writeFileSync(file, `${JSON.stringify({ date: new Date().toISOString(), ...data }, null, 2)}\n`);
}

/** The guest under QEMU of a Debian suite, or the system's. */
async function chooseQemu(guest: Guest, suite: string | undefined): Promise<Guest> {
  if (suite === undefined) return guest;
  const [program = '', ...words] = guest.qemu;
  return { ...guest, qemu: [...(await qemuOfSuite(suite, program)), ...words] };
}

/** The race. Answers the exit status. */
async function compare(options: Options): Promise<number> {
  const { rounds } = options;
  const guest = await chooseQemu(options.programs ? debianTools : chooseCpu(options), options.qemuSuite);
  const chosen = options.programs
    ? programMetrics
    : options.network
      ? networkMetrics
      : options.devices
        ? deviceMetrics
        : options.echo
          ? echoMetrics
          : chooseMetrics(guest, options.only).filter(
              ({ program }) => program === undefined || !(options.bootOnly || options.library),
            );
  const wanted = programs.filter((program) => chosen.some((metric) => metric.program === program));
  const accels = chooseAccels(options, options.echo ? guest.accels : ['assist']);
  const qemu = options.library ? undefined : { qemu: qemuVersion(guest) };
  const host = { ...hostFacts(), ...qemu, powervisor: gitCommit() };
  const folder = await guestFolder(guest);
  const ours: Contender[] = [];
  if (options.self) ours.push(qemuContender(guest, folder, 'qemu again'));
  else {
    await buildCommand();
    for (const accel of accels) ours.push(ourContender(guest, folder, accel));
    if (options.codeCache) ours.push(filledContender(guest, folder, 'assist'));
    if (options.against !== undefined) ours.push(commitContender(guest, folder, 'assist', options.against));
  }
  const network = options.network ? await NetworkBench.create(guest) : undefined;
  const devices = options.devices ? await DevicesBench.create(guest, folder) : undefined;
  const plugged = network ?? devices;
  const contenders = (options.library ? libraryContenders(guest, folder) : [qemuContender(guest, folder), ...ours]).map(
    (one) => plugged?.plugIn(one) ?? one,
  );
  const start = Date.now();
  const workload = plugged?.workload ?? (options.echo ? echoWorkload(guest) : programsWorkload(guest, wanted));
  const { samples, failure } = options.programs
    ? { samples: await racePrograms(guest, contenders, rounds), failure: undefined }
    : await race({ guest, contenders, rounds, workload, timeoutSeconds: options.timeout, logs: options.logs });
  network?.close();
  const names = contenders.map(({ name }) => name);
  const report = makeReport(names, chosen, samples);
  const judged =
    options.self || options.echo || options.library ? undefined : (names.find((name) => name === 'assist') ?? names[1]);
  const machine = [guest.name, options.cpu ?? guest.cpus[0]].filter(Boolean).join(' ');
  if (samples.length > 0) {
    console.log(`guest ${machine}, rounds ${rounds}: median (min–max); ratio = ${names[0]} / ours, above 1 is faster`);
    console.log(
      Object.entries(host)
        .map(([name, value]) => `${name} ${value}`)
        .join(', '),
    );
    console.log(
      `\n${formatReport(names, report, judged, options.markdown)}\n\n${formatClocks(report, options.markdown)}`,
    );
    if (options.threads) console.log(`\n${formatThreads(names, samples, options.markdown)}`);
    const gain = options.echo ? pvGain(samples) : undefined;
    if (gain !== undefined) console.log(`\n${gain}`);
  }
  writeJson(options.json, { guest: machine, rounds, programs: wanted, host, ...report, samples, failure });
  if (!options.self && sourcesChangedSince(start))
    console.error('bench: the sources changed meanwhile, so these figures are of no one version; a clone stands still');
  if (failure !== undefined) console.error(`bench: FAILED: ${failure}`);
  return failure === undefined ? 0 : 1;
}

/** The table of exits by cause. */
async function exits(options: Options): Promise<number> {
  const guest = chooseCpu(options);
  const chosen = options.only === undefined ? [] : chooseMetrics(guest, options.only);
  const wanted = programs.filter((program) => chosen.some((metric) => metric.program === program));
  const accels = chooseAccels(options, guest.accels);
  const folder = await guestFolder(guest);
  await buildCommand();
  const counts = await countExits(guest, folder, accels, wanted, options.timeout);
  console.log(formatExits(counts));
  for (const { accel, ratio } of exitRatios(counts))
    console.log(`\nexits under ${counts[0]?.accel} / exits under ${accel}: ${ratio.toFixed(2)}`);
  writeJson(options.json, { guest: guest.name, programs: wanted, powervisor: gitCommit(), exits: counts });
  return 0;
}

function trapCost(options: Options): number {
  const guest = chooseCpu(options);
  const cpu = options.cpu ?? guest.cpus[0];
  const costs = measureTrapCosts(cpu === undefined ? booke : book3s64(cpu), chooseAccels(options, guest.accels));
  console.log(formatTrapCosts(costs, options.markdown));
  writeJson(options.json, { guest: guest.name, host: hostFacts(), powervisor: gitCommit(), trapCosts: costs });
  return 0;
}

function createProgram(): Command {
  return new Command('bench')
    .description('races Powervisor against QEMU on the same guest and programs, in turns')
    .option('--rounds <n>', 'runs of each', parsePositive, 5)
    .option('--guest <name>', `the guest: ${guestNames}`, parseGuest, defaultGuest)
    .option('--cpu <name>', "the guest's processor: power7, power8")
    .option('--accel <names>', 'ours under each of these, such as assist,trap (default: assist)', parseAccels)
    .option('--only <names>', 'programs or figures, such as int,sys or chase1M', (text: string) => text.split(','))
    .option('--boot-only', 'only boot')
    .option('--self', 'a second QEMU in our place: what the noise is')
    .option('--code-cache', 'also ours with the memory of a run before')
    .option('--against <commit>', 'also ours as of another commit')
    .option('--qemu-suite <suite>', "QEMU of another Debian's suite, such as trixie")
    .option('--threads', 'also the processor time of each thread')
    .option('--programs', 'instead: compilers, interpreters and tools in the guest debian-tools')
    .option('--library', 'instead: boots by the library beside the command')
    .option('--echo', 'instead: 1000 times /bin/echo in a shell, under each accel')
    .option('--network', "instead: bytes and round trips over the user network, beside QEMU's")
    .option('--devices', "instead: disks and shared folders, beside QEMU's virtio-blk and -virtfs")
    .option('--exits', 'instead: exits by cause of one boot under each accel, as Markdown')
    .option('--trap-cost', 'instead: nanoseconds of one privileged instruction')
    .option('--timeout <seconds>', 'for each run', parsePositive, 600)
    .option('--json <file>', 'write everything as JSON')
    .option('--logs <folder>', "keep every run's console, with times")
    .option('--markdown', 'tables in Markdown')
    .exitOverride();
}

async function main(): Promise<number> {
  try {
    const options = createProgram().parse().opts<Options>();
    if (options.trapCost) return trapCost(options);
    return options.exits ? await exits(options) : await compare(options);
  } catch (error) {
    // Help ends with 0; commander has said what is wrong with other command lines.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
    return error instanceof BenchError ? error.status : 1;
  }
}

process.exitCode = await main();
