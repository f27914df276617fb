import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Xics } from '../../src/machine/devices/xics.ts';
import { HypercallArguments } from '../../src/machine/hypercalls.ts';
import { InterruptLine } from '../../src/machine/interrupts.ts';
import { spaprRig } from './spapr-rig.ts';

const H_EOI = 0x64;
const H_CPPR = 0x68;
const H_IPI = 0x6c;
const H_IPOLL = 0x70;
const H_XIRR = 0x74;
const H_XIRR_X = 0x2fc;
const H_PARAMETER = -4n;
const VTY_SOURCE = 0x1100;
const PARAMETER_ERROR = -3;

/** A controller of one processor with sources 16 to 23, of which 16 and 17 are level-sensitive. */
function controller() {
  const output = new InterruptLine();
  const xics = new Xics([output], { first: 16, count: 8, levels: [16, 17] }, () => 0x1_2345_6789);
  const registers = new BigUint64Array(9);
  const args = new HypercallArguments();
  const call = (name: string, ...values: number[]): bigint => {
    registers.fill(0n);
    values.forEach((value, i) => {
      registers[i] = BigInt(value);
    });
    args.bind(registers, 0);
    const code = xics.hypercalls.find((one) => one.name === name)?.call(args);
    assert.equal(code, 0, name);
    return registers[0] as bigint;
  };
  return { output, xics, call };
}

test('an edge interrupts by priority, and comes again after what was in its way', () => {
  const rig = spaprRig();
  rig.rtas('ibm,set-xive', [VTY_SOURCE, 0, 5], 1);
  rig.rtas('ibm,set-xive', [VTY_SOURCE + 1, 0, 4], 1);
  const line = new InterruptLine();
  line.connect(rig.board.device('xics') as Xics, VTY_SOURCE);
  const other = new InterruptLine();
  other.connect(rig.board.device('xics') as Xics, VTY_SOURCE + 1);
  const pulse = (one: InterruptLine): void => {
    one.assert();
    one.deassert();
  };
  pulse(line);
  assert.equal(rig.interrupted(), false, 'priority 0 lets nothing through');
  rig.call(H_CPPR, 0xff);
  assert.equal(rig.interrupted(), true);
  assert.deepEqual(rig.call(H_IPOLL, 0).slice(0, 3), [0n, 0xff001100n, 0xffn]);
  pulse(other);
  assert.deepEqual(rig.call(H_XIRR).slice(0, 2), [0n, 0xff001101n], 'the more favoured one took its place');
  assert.equal(rig.interrupted(), false);
  assert.deepEqual(rig.call(H_XIRR).slice(0, 2), [0n, 0x04000000n], 'nothing else is presented');
  rig.call(H_EOI, 0xff001101);
  assert.equal(rig.interrupted(), true, 'the one that was refused comes again');
  rig.call(H_CPPR, 5);
  assert.equal(rig.interrupted(), false, 'refused by a priority that is as favoured');
  rig.call(H_CPPR, 6);
  assert.deepEqual(rig.call(H_XIRR).slice(0, 2), [0n, 0x06001100n]);
});

test('a masked edge is remembered; int-off and int-on keep the priority', () => {
  const rig = spaprRig();
  rig.call(H_CPPR, 0xff);
  rig.rtas('ibm,set-xive', [VTY_SOURCE, 0, 7], 1);
  rig.rtas('ibm,int-off', [VTY_SOURCE], 1);
  assert.deepEqual(rig.rtas('ibm,get-xive', [VTY_SOURCE], 3), [0, 0, 0xff]);
  const line = new InterruptLine();
  line.connect(rig.board.device('xics') as Xics, VTY_SOURCE);
  line.assert();
  assert.equal(rig.interrupted(), false);
  assert.deepEqual(rig.rtas('ibm,int-on', [VTY_SOURCE], 1), [0]);
  assert.deepEqual(rig.rtas('ibm,get-xive', [VTY_SOURCE], 3), [0, 0, 7]);
  assert.equal(rig.interrupted(), true);
});

test('a level comes again at the end of its interrupt while its line is active', () => {
  const { output, xics, call } = controller();
  const [setXive] = xics.rtas;
  call('H_CPPR', 0xff);
  xics.setInput(16, true);
  assert.equal(output.active, false, 'masked');
  const words = [16, 0, 3];
  setXive?.call({ word: (i: number) => words[i] } as never);
  assert.equal(output.active, true);
  assert.equal(call('H_XIRR'), 0xff000010n);
  assert.equal(output.active, false);
  call('H_EOI', 0xff000010);
  assert.equal(output.active, true, 'still active');
  assert.equal(call('H_XIRR'), 0xff000010n);
  xics.setInput(16, false);
  call('H_EOI', 0xff000010);
  assert.equal(output.active, false);
});

test('interprocessor interrupts have source 2 and the priority in MFRR; H_XIRR_X tells the time', () => {
  const rig = spaprRig();
  rig.call(H_CPPR, 0xff);
  assert.equal(rig.call(H_IPI, 0, 4)[0], 0n);
  assert.equal(rig.interrupted(), true);
  rig.now = 20e9;
  assert.deepEqual(rig.call(H_XIRR_X).slice(0, 3), [0n, 0xff000002n, 20n * 512_000_000n]);
  rig.call(H_IPI, 0, 0xff);
  rig.call(H_EOI, 0xff000002);
  assert.equal(rig.interrupted(), false);
});

test('sources, servers and priorities that do not exist are refused', () => {
  const rig = spaprRig();
  for (const source of [0, 2, 0xfff, 0x1400, 0x80000000, 0xffffffff]) {
    assert.deepEqual(rig.rtas('ibm,set-xive', [source, 0, 5], 1), [PARAMETER_ERROR], `${source}`);
    assert.deepEqual(rig.rtas('ibm,get-xive', [source], 3), [PARAMETER_ERROR, 0, 0]);
    assert.deepEqual(rig.rtas('ibm,int-off', [source], 1), [PARAMETER_ERROR]);
    assert.deepEqual(rig.rtas('ibm,int-on', [source], 1), [PARAMETER_ERROR]);
  }
  assert.deepEqual(rig.rtas('ibm,set-xive', [VTY_SOURCE, 1, 5], 1), [PARAMETER_ERROR]);
  assert.deepEqual(rig.rtas('ibm,set-xive', [VTY_SOURCE, 0, 256], 1), [PARAMETER_ERROR]);
  for (const server of [1n, 0xffffffffn, 1n << 32n, 1n << 63n, -1n]) {
    assert.equal(rig.call(H_IPI, server, 0)[0], H_PARAMETER);
    assert.equal(rig.call(H_IPOLL, server)[0], H_PARAMETER);
  }
});

test('the state goes through JSON and back, with what is presented and what waits', () => {
  const { output, xics, call } = controller();
  const words = [17, 0, 3];
  xics.rtas[0]?.call({ word: (i: number) => words[i] } as never);
  call('H_CPPR', 0xff);
  xics.setInput(17, true);
  call('H_IPI', 0, 9);
  const state = JSON.parse(JSON.stringify(xics.save()));
  const next = controller();
  next.xics.restore(state);
  assert.deepEqual(next.xics.save(), state);
  assert.equal(next.output.active, true);
  for (const rig of [{ output, call }, next]) {
    assert.equal(rig.call('H_XIRR'), 0xff000011n);
    rig.call('H_CPPR', 0xff);
    assert.equal(rig.call('H_XIRR'), 0xff000002n);
  }
  for (const name of Object.keys(state)) assert.throws(() => next.xics.restore({ ...state, [name]: 'x' }), name);
});

test('whatever a guest does, the output is active exactly when something is presented', () => {
  const action = fc.tuple(fc.nat(7), fc.nat(9), fc.nat(0xff), fc.nat(0xffffff));
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const { output, xics, call } = controller();
      let ended = false;
      for (const [kind, source, priority, noise] of actions) {
        const words = [14 + source, noise % 3, priority];
        if (kind < 4) xics.rtas[kind]?.call({ word: (i: number) => words[i], result: () => {} } as never);
        else if (kind === 4) xics.setInput(14 + source, (noise & 1) === 1);
        else if (kind === 5) call('H_CPPR', priority);
        else if (kind === 6) call('H_XIRR');
        else call('H_EOI', priority * 0x1000000 + (noise & 1 ? 14 + source : noise));
        ended ||= kind === 7;
        const { xisr, cppr, pendingPriority } = xics.save() as Record<string, number[]>;
        assert.equal(output.active, xisr?.[0] !== 0);
        // The end of an interrupt sets the priority without a look at what is presented.
        if (xisr?.[0] !== 0 && !ended) assert.ok((pendingPriority?.[0] as number) < (cppr?.[0] as number));
      }
    }),
    { numRuns: 300 },
  );
});
