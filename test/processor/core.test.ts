/** Cores that an embedder keeps: one that comes back from a file is as good as a new one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import { coreFileNames, readCore, writeTables } from '../../src/machine/cores.ts';
import {
  type CoreImage,
  createHostCpu,
  createServerCpu,
  gprOffset,
  HostMemory,
  HPTE,
  PC,
  RAM_BASE,
  SERVER_VECTOR,
  SLB_VSID,
  VCPU_BLOCKS,
} from '../../src/processor/index.ts';
import { enterPage } from './server-pages.ts';

const timebase = (): number => 0;

test('a core goes through a file, and fits memory of another size', () => {
  const kept = new Map<string, CoreImage>();
  const options = { model: 'power8', base: VCPU_BLOCKS, assist: null, timebase } as const;
  createServerCpu({
    ...options,
    memory: HostMemory.create(RAM_BASE + 0x1_0000, 7),
    cores: { find: () => undefined, made: (name, image) => void kept.set(name, image) },
  });
  assert.deepEqual([...kept.keys()], ['power8-7-usual-plain']);

  let found = 0;
  const memory = HostMemory.create(RAM_BASE + 0x10_0000, 7);
  const cpu = createServerCpu({
    ...options,
    memory,
    cores: {
      find: (name) => {
        found++;
        const image = kept.get(name) as CoreImage;
        return readCore(name, (file) => (file === coreFileNames(name).module ? image.bytes : writeTables(image)));
      },
      made: () => assert.fail('the core was there'),
    },
  });
  assert.equal(found, 1);
  cpu.configureContext(0, { assist: false, sixtyFour: true, littleEndian: false });
  cpu.selectContext(0);
  cpu.slbWrite(0, 0, 0, 1, SLB_VSID.KS);
  enterPage(cpu, { vsid: 1, address: 0n, real: RAM_BASE, flags: HPTE.PP_READ_WRITE });
  for (const [i, word] of assembleWords('li r3,7; mulli r4,r3,6; trap', 0).entries())
    memory.write32(RAM_BASE + 4 * i, word);
  const registers = new BigUint64Array(memory.wasm.buffer);
  registers[(VCPU_BLOCKS + PC) / 8] = 0n;
  assert.equal(cpu.run(100), SERVER_VECTOR.program);
  assert.equal(registers[(VCPU_BLOCKS + gprOffset(4)) / 8], 42n);
});

test('a processor with another threshold has a core of its own', () => {
  const memory = HostMemory.create(RAM_BASE + 0x1_0000, 3);
  createHostCpu({
    memory,
    base: VCPU_BLOCKS,
    assist: null,
    timebase,
    hotThreshold: 1,
    cores: { find: () => assert.fail('this one is not kept') },
  });
  const names: string[] = [];
  createHostCpu({
    memory,
    base: VCPU_BLOCKS,
    assist: null,
    timebase,
    cores: { find: () => undefined, made: (name) => void names.push(name) },
  });
  assert.deepEqual(names, ['440-3-usual-plain']);
});
