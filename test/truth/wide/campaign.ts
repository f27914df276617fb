/** Random executions of every problem-state instruction of the 64-bit processors, on the oracle and on our interpreter. */
import { Random } from '../random.ts';
import { addWideCase, WideBatch } from './batch.ts';
import { CONFIGURATIONS, type Configuration, configurationForms, nameOf } from './configurations.ts';
import { correctWide } from './exceptions.ts';
import { difference, type WideDifference } from './judge.ts';
import { runWideOracle, wideOracleVersion } from './oracle.ts';
import { WideSubject } from './subject.ts';

const PER_CASE = 4;
/** Of each form in a batch. */
const CASES = 4;

function run(configuration: Configuration, executions: number, random: Random) {
  const { processor, order } = configuration;
  const subject = new WideSubject(processor, order);
  const forms = configurationForms(configuration);
  const differences: WideDifference[] = [];
  let done = 0;
  while (done < executions) {
    const batch = new WideBatch(random);
    for (const form of forms) for (let i = 0; i < CASES; i++) addWideCase(random, batch, form, PER_CASE);
    const expected = runWideOracle(batch, processor, order);
    const actual = subject.run(batch);
    for (let i = 0; i < batch.executions.length; i++) {
      correctWide(batch, i, expected, actual);
      const found = difference(batch, i, expected, actual);
      if (found) differences.push(found);
    }
    done += batch.executions.length;
  }
  return { done, differences };
}

/** @returns the exit status: 0 when nothing differs. */
export function wideCampaign(executions: number, seed: number): number {
  const version = wideOracleVersion();
  if (version === undefined) {
    console.error('campaign: there is no qemu-ppc64 here (Debian: apt-get install qemu-user)');
    return 1;
  }
  console.log(`oracle: ${version}; seed ${seed}`);
  const random = new Random(seed);
  let all = 0;
  for (const configuration of CONFIGURATIONS) {
    const { done, differences } = run(configuration, executions / CONFIGURATIONS.length, random);
    console.log(`${nameOf(configuration)}: ${done.toLocaleString('en')} executions, ${differences.length} differences`);
    for (const [name, list] of Map.groupBy(differences, (one) => one.name))
      console.log(`  ${name}: ${list.length}, the first:\n${list[0]?.text.replace(/^/gm, '    ')}`);
    all += differences.length;
  }
  return all === 0 ? 0 : 1;
}
