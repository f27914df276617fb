/** Generated code of 64-bit processors: loops, calls, faults in the midst of blocks, facilities. */
import assert from 'node:assert/strict';
import { SERVER_VECTOR } from '../../src/processor/index.ts';
import { everyServer, SEGMENT, type TestServer } from './test-server.ts';

const CODE = 0x1000;
const { systemCall, dataStorage } = SERVER_VECTOR;

function prepare(cpu: TestServer): void {
  cpu.map(0, 16);
  cpu.map(0x100000, 256);
}

everyServer('a counted loop over doublewords', (cpu) => {
  prepare(cpu);
  cpu.load(CODE, 'mtctr 3; 1: ld 6,0(4); add 5,5,6; addi 4,4,8; bdnz 1b; sc');
  for (let i = 0; i < 600; i++) cpu.write64(0x100ff0 + 8 * i, BigInt(i) << 32n);
  const ending = cpu.runTwice(CODE, () => cpu.setGprs({ 3: 600, 4: SEGMENT + 0x100ff0n, 5: 0 }));
  assert.deepEqual([ending.vector, cpu.gpr(5)], [systemCall, BigInt((599 * 600) / 2) << 32n]);
  assert.equal(ending.retired, 1 + 4 * 600 + 1);
});
