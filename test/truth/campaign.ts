/**
 * `npm run campaign -- [EXECUTIONS [SEED]]`: random executions of every user-mode instruction, on `qemu-ppc` and on our
 * processor, interpreted and translated; with `wide` those of 64-bit processors. `npm run campaign -- record` writes the set that `npm test` replays.
 */
import { argv, exit, stdout } from 'node:process';
import { Batch } from './batch.ts';
import { addBlock } from './blocks.ts';
import { processorFor } from './exceptions.ts';
import { judge, type Verdict } from './judge.ts';
import { oracleVersion } from './oracle.ts';
import { Random } from './random.ts';
import { record } from './record.ts';
import { addSingle, type Form, formsOf } from './single.ts';
import { Subject } from './subject.ts';
import { wideCampaign } from './wide/campaign.ts';
import { recordWide } from './wide/record.ts';

const DEFAULT_EXECUTIONS = 1_000_000;
/** Of each case, with a state of its own each time. */
const PER_CASE = 4;
const PER_BATCH = 48_000;
/** Shares of the executions: single instructions, blocks, and blocks that only the two tiers are compared on. */
const SHARES = { single: 0.6, block: 0.4, lockStep: 0.2 } as const;

interface Tally {
  executions: number;
  endless: number;
  readonly differences: Verdict['differences'][number][];
}

class Campaign {
  readonly #random: Random;
  readonly #subject = new Subject();
  readonly tallies = new Map<string, Tally>();
  #done = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  get inRegions(): number {
    return this.#subject.inRegions;
  }

  /** Answers how many executions were compared. */
  #judge(kind: string, batch: Batch, processor: string | null): number {
    const verdict = judge(this.#subject, batch, processor);
    const tally = this.tallies.get(kind) ?? { executions: 0, endless: 0, differences: [] };
    this.tallies.set(kind, tally);
    tally.executions += verdict.executions;
    tally.endless += verdict.endless;
    tally.differences.push(...verdict.differences);
    this.#done += verdict.executions;
    if (stdout.isTTY) stdout.write(`\r${this.#done.toLocaleString('en')} executions `);
    return verdict.executions;
  }

  /** Every form as often as every other. */
  singles(executions: number): void {
    const processors = Map.groupBy(formsOf(), (form) => processorFor(form.instruction.mnemonic));
    const rounds = Math.ceil(executions / PER_CASE / formsOf().length);
    for (const [processor, forms] of processors) this.#singlesOn(processor, forms, rounds);
  }

  #singlesOn(processor: string, forms: readonly Form[], rounds: number): void {
    const perBatch = Math.max(1, Math.floor(PER_BATCH / PER_CASE / forms.length));
    for (let done = 0; done < rounds; done += perBatch) {
      const batch = new Batch(this.#random);
      for (let i = done; i < Math.min(rounds, done + perBatch); i++)
        for (const form of forms) addSingle(this.#random, batch, form, PER_CASE);
      this.#judge('single instructions', batch, processor);
    }
  }

  blocks(executions: number, processor: string | null): void {
    for (let done = 0; done < executions; ) {
      const batch = new Batch(this.#random);
      while (batch.executions.length < PER_BATCH / 2 && done + batch.executions.length < executions)
        addBlock(this.#random, batch, PER_CASE, processor !== null);
      done += this.#judge(processor === null ? 'blocks, tiers in lock step' : 'blocks', batch, processor);
    }
  }
}

function main(): number {
  const version = oracleVersion();
  if (version === undefined) {
    console.error('campaign: there is no qemu-ppc here (Debian: apt-get install qemu-user)');
    return 1;
  }
  if (argv[2] === 'record') {
    record();
    recordWide();
    return 0;
  }
  const wide = argv[2] === 'wide';
  const numbers = argv.slice(wide ? 3 : 2);
  const executions = Number(numbers[0] ?? DEFAULT_EXECUTIONS);
  const seed = Number(numbers[1] ?? 1);
  if (!(executions > 0) || !Number.isInteger(seed)) {
    console.error('usage: npm run campaign -- [EXECUTIONS [SEED]] | wide [EXECUTIONS [SEED]] | record');
    return 2;
  }
  if (wide) return wideCampaign(executions, seed);
  console.log(`oracle: ${version}; seed ${seed}`);
  const started = performance.now();
  const campaign = new Campaign(seed);
  campaign.singles(executions * SHARES.single);
  campaign.blocks(executions * SHARES.block, processorFor('block'));
  campaign.blocks(executions * SHARES.lockStep, null);
  if (stdout.isTTY) stdout.write('\r');
  let differences = 0;
  for (const [kind, tally] of campaign.tallies) {
    const endless = tally.endless > 0 ? ` (and ${tally.endless.toLocaleString('en')} endless ones left out)` : '';
    console.log(`${kind}: ${tally.executions.toLocaleString('en')} executions${endless}`);
    const byTier = Map.groupBy(tally.differences, (difference) => `${difference.tier}, ${difference.name}`);
    for (const [where, list] of byTier)
      console.log(`  ${where}: ${list.length} differences, the first:\n${list[0]?.text.replace(/^/gm, '    ')}`);
    differences += tally.differences.length;
  }
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${campaign.inRegions.toLocaleString('en')} executions began in translated code`);
  console.log(`${differences === 0 ? 'no' : differences} differences; ${seconds} s`);
  return differences === 0 ? 0 : 1;
}

exit(main());
