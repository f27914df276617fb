/** The server processor's translation: SLB, hashed page table, and the soft TLB that must never know better. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleWords } from '../../src/isa/index.ts';
import {
  createServerCpu,
  DSISR,
  EXIT_ADDRESS,
  EXIT_SYNDROME,
  gprOffset,
  HostMemory,
  HPTE,
  PC,
  RAM_BASE,
  SERVER_VECTOR,
  type ServerCpu,
  SLB_VSID,
  SRR1_NOEXEC,
  VCPU_BLOCKS,
} from '../../src/processor/index.ts';
import { enterPage } from './server-pages.ts';

const CODE = 0xc000_0000_0000_0000n;
const DATA = 0xc000_0000_0100_0000n;
const VSID = 0x12345_0001;
const RAM_BYTES = 0x20_0000;

class TestServer {
  readonly memory: HostMemory;
  readonly cpu: ServerCpu;
  readonly u64: BigUint64Array;

  constructor(order: 0 | 7 = 7, log2Groups?: number) {
    this.memory = HostMemory.create(RAM_BASE + RAM_BYTES, order);
    this.u64 = new BigUint64Array(this.memory.wasm.buffer);
    this.cpu = createServerCpu({
      model: 'power8',
      memory: this.memory,
      base: VCPU_BLOCKS,
      assist: null,
      timebase: () => 0,
      ...(log2Groups !== undefined && { log2Groups }),
    });
    this.cpu.configureContext(0, { assist: false, sixtyFour: true, littleEndian: order === 0 });
    this.cpu.slbWrite(0, 3, Number(CODE >> 28n), VSID, SLB_VSID.KS);
    this.enter(CODE, 0, HPTE.PP_READ_WRITE);
  }

  enter(address: bigint, real: number, flags: number, vsid = VSID): number {
    return enterPage(this.cpu, { vsid, address, real: RAM_BASE + real, flags });
  }

  gpr(n: number): bigint {
    return this.u64[(VCPU_BLOCKS + gprOffset(n)) / 8] as bigint;
  }

  setGpr(n: number, value: bigint): void {
    this.u64[(VCPU_BLOCKS + gprOffset(n)) / 8] = value;
  }

  /** Runs code that ends with a trap or an earlier interrupt. `turned`: the code is stored in the other byte order. */
  run(source: string, turned = false) {
    for (const [i, word] of assembleWords(`${source}\ntrap`, 0).entries()) {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, word, this.memory.littleEndian !== turned);
      this.memory.writeBytes(RAM_BASE + 4 * i, bytes);
    }
    this.cpu.codeWritten(RAM_BASE, 4096);
    this.u64[(VCPU_BLOCKS + PC) / 8] = CODE;
    const vector = this.cpu.run(1000);
    return {
      vector,
      pc: (this.u64[(VCPU_BLOCKS + PC) / 8] as bigint) - CODE,
      address: this.u64[(VCPU_BLOCKS + EXIT_ADDRESS) / 8] as bigint,
      syndrome: this.memory.u32[(VCPU_BLOCKS + EXIT_SYNDROME) / 4] as number,
    };
  }
}

const TRAPPED = SERVER_VECTOR.program;

test('a page is found in its group, R and C are recorded', () => {
  const server = new TestServer();
  const at = server.enter(DATA, 0x1000, HPTE.PP_READ_WRITE);
  const bits = () => Number((server.u64[at + 1] as bigint) & BigInt(HPTE.R | HPTE.C));
  server.setGpr(3, DATA);
  assert.equal(server.run('ld r4,8(r3)').vector, TRAPPED);
  assert.equal(bits(), HPTE.R);
  server.setGpr(4, 0x0123_4567_89ab_cdefn);
  assert.equal(server.run('std r4,8(r3)').vector, TRAPPED);
  assert.equal(bits(), HPTE.R | HPTE.C);
  assert.equal(server.memory.read64(RAM_BASE + 0x1008), 0x0123_4567_89ab_cdefn);
});

test('no entry, no segment, no permission: the interrupts that hardware has', () => {
  const server = new TestServer();
  server.enter(DATA, 0x1000, HPTE.PP_READ_ONLY | HPTE.N);
  server.setGpr(3, DATA);
  server.setGpr(5, DATA + 0x1000n);
  server.setGpr(6, 0x1234_5678n);
  const expected = (vector: number, address: bigint, syndrome: number) => ({ vector, pc: 0n, address, syndrome });
  assert.deepEqual(server.run('ld r4,0(r5)'), expected(0x300, DATA + 0x1000n, DSISR.NOHPTE));
  assert.deepEqual(server.run('stb r4,4(r5)'), expected(0x300, DATA + 0x1004n, DSISR.NOHPTE | DSISR.ISSTORE));
  assert.deepEqual(server.run('lbz r4,0(r6)'), expected(0x380, 0x1234_5678n, 0));
  assert.deepEqual(server.run('stw r4,8(r3)'), expected(0x300, DATA + 8n, DSISR.PROTFAULT | DSISR.ISSTORE));
  const jump = server.run('mtctr r3; bctr');
  assert.deepEqual([jump.vector, jump.pc, jump.syndrome], [0x400, DATA - CODE, SRR1_NOEXEC]);
  server.setGpr(3, 0x7000_0000_0000n);
  assert.equal(server.run('mtctr r3; bctr').vector, 0x480);
});

test('the key is Kp: pages of PP 0 and 1 are read-only or closed then', () => {
  const server = new TestServer();
  server.cpu.slbWrite(0, 1, Number(0x7000_0000n >> 28n), 7, SLB_VSID.KP);
  server.enter(0x7000_0000n, 0x1000, 0, 7);
  server.enter(0x7000_1000n, 0x1000, 1, 7);
  server.setGpr(3, 0x7000_0000n);
  assert.equal(server.run('ld r4,0(r3)').syndrome, DSISR.PROTFAULT);
  assert.equal(server.run('addi r3,r3,0x1000; ld r4,0(r3)').vector, TRAPPED);
  assert.equal(server.run('std r4,0(r3)').syndrome, DSISR.PROTFAULT | DSISR.ISSTORE);
});

test('what overflows a group is found in the secondary one', () => {
  const server = new TestServer(7, 11);
  // Pages 8 MB apart share their group.
  server.setGpr(3, DATA);
  for (let i = 0; i < 14; i++) server.enter(DATA + BigInt(i * 0x80_0000), 0x1000 + i * 0x1000, HPTE.PP_READ_WRITE);
  for (let i = 0; i < 14; i++) server.memory.write64(RAM_BASE + 0x1000 + i * 0x1000, BigInt(i + 1));
  const sum = server.run(
    'li r5,14; li r6,0; lis r7,0x80; mtctr r5\nnext: ld r4,0(r3); add r6,r6,r4; add r3,r3,r7; bdnz next',
  );
  assert.equal(sum.vector, TRAPPED);
  assert.equal(server.gpr(6), 105n);
});

test('tlbie and slbie end what the soft TLB knows', () => {
  const server = new TestServer();
  const at = server.enter(DATA, 0x1000, HPTE.PP_READ_WRITE);
  server.setGpr(3, DATA);
  assert.equal(server.run('std r3,0(r3)').vector, TRAPPED);
  server.u64[at] = 0n;
  server.cpu.tlbInvalidate(VSID, Number((DATA >> 12n) & 0xffffn));
  assert.equal(server.run('ld r4,0(r3)').syndrome, DSISR.NOHPTE);
  server.enter(DATA, 0x2000, HPTE.PP_READ_WRITE);
  assert.equal(server.run('std r3,0(r3)').vector, TRAPPED);
  assert.equal(server.memory.read64(RAM_BASE + 0x2000), DATA);
  server.cpu.slbInvalidate(0, 3);
  assert.equal(server.run('ld r4,0(r3)').vector, 0x480);
});

// The second has more pages than refills are logged.
for (const pages of [8, 300]) {
  test(`a program's segment that goes takes its ${pages} pages with it, and none of the kernel's`, () => {
    const server = new TestServer();
    const program = 0x7000_0000n;
    server.enter(DATA, 0x4000, HPTE.PP_READ_WRITE);
    /** Gives the program another segment, all of whose pages hold a value; answers the sum of what it reads. */
    const sumOf = (value: number): bigint => {
      const vsid = 0x1000 * value;
      server.cpu.slbWrite(0, 1, Number(program >> 28n), vsid, 0);
      server.memory.write64(RAM_BASE + value * 0x1000, BigInt(value));
      for (let i = 0; i < pages; i++)
        server.enter(program + BigInt(i * 0x1000), value * 0x1000, HPTE.PP_READ_WRITE, vsid);
      server.setGpr(3, program - 0x1000n);
      server.setGpr(5, BigInt(pages));
      server.setGpr(8, DATA);
      const code = 'ld r7,0(r8); li r6,0; mtctr r5\nnext: ldu r4,0x1000(r3); add r6,r6,r4; bdnz next';
      assert.equal(server.run(code).vector, TRAPPED);
      return server.gpr(6);
    };
    assert.equal(sumOf(1), BigInt(pages));
    const refills = server.cpu.stats['soft_tlb_refills'] as number;
    assert.equal(sumOf(2), BigInt(2 * pages));
    // The program's pages and that of the code, which each run looks up; not the kernel's data.
    if (pages === 8) assert.equal(server.cpu.stats['soft_tlb_refills'], refills + pages + 1);
  });
}

test('each context has segments of its own, and selecting one flushes nothing', () => {
  const server = new TestServer();
  server.cpu.configureContext(1, { assist: false, sixtyFour: true, littleEndian: false });
  server.cpu.slbWrite(1, 0, Number(CODE >> 28n), VSID + 1, SLB_VSID.KS);
  server.enter(CODE, 0, HPTE.PP_READ_WRITE, VSID + 1);
  server.enter(DATA, 0x1000, HPTE.PP_READ_WRITE);
  server.enter(DATA, 0x2000, HPTE.PP_READ_WRITE, VSID + 1);
  server.setGpr(3, DATA);
  server.memory.write64(RAM_BASE + 0x1000, 1n);
  server.memory.write64(RAM_BASE + 0x2000, 2n);
  for (const [context, value] of [
    [0, 1n],
    [1, 2n],
    [0, 1n],
  ] as const) {
    server.cpu.selectContext(context);
    server.run('ld r4,0(r3)');
    assert.equal(server.gpr(4), value);
  }
  const refills = server.cpu.stats['soft_tlb_refills'];
  server.cpu.selectContext(1);
  server.run('ld r4,0(r3)');
  assert.equal(server.cpu.stats['soft_tlb_refills'], refills);
});

for (const order of [7, 0] as const)
  test(`unaligned accesses across pages, storage order ${order}`, () => {
    const server = new TestServer(order);
    server.enter(DATA, 0x5000, HPTE.PP_READ_WRITE);
    server.enter(DATA + 0x1000n, 0x3000, HPTE.PP_READ_WRITE);
    server.setGpr(3, DATA + 0xffdn);
    server.setGpr(4, 0x1122_3344_5566_7788n);
    assert.equal(server.run('std r4,0(r3); ldx r5,0,r3; lwz r6,1(r3); lhz r7,2(r3)').vector, TRAPPED);
    assert.equal(server.gpr(5), 0x1122_3344_5566_7788n);
    const bytes = order === 7 ? [0x11, 0x22, 0x33] : [0x88, 0x77, 0x66];
    assert.deepEqual([...server.memory.readBytes(RAM_BASE + 0x5ffd, 3)], bytes);
    assert.equal(server.gpr(6), order === 7 ? 0x2233_4455n : 0x4455_6677n);
    assert.equal(server.gpr(7), order === 7 ? 0x3344n : 0x5566n);
  });

for (const order of [7, 0] as const)
  test(`code of the other byte order and of 32-bit mode, storage order ${order}`, () => {
    const server = new TestServer(order);
    server.enter(DATA, 0x1000, HPTE.PP_READ_WRITE);
    server.cpu.configureContext(0, { assist: false, sixtyFour: true, littleEndian: order === 7 });
    server.cpu.selectContext(0);
    server.setGpr(3, DATA);
    server.setGpr(4, 0x1122_3344_5566_7788n);
    assert.equal(
      server.run('std r4,0(r3); lwz r5,0(r3); lha r6,6(r3); ldbrx r7,0,r3; stwbrx r4,0,r3', true).vector,
      TRAPPED,
    );
    const little = order === 7;
    assert.equal(server.gpr(5), little ? 0x5566_7788n : 0x1122_3344n);
    assert.equal(server.gpr(6), little ? 0x1122n : 0x7788n);
    assert.equal(server.gpr(7), 0x8877_6655_4433_2211n);
    const bytes = [0x55, 0x66, 0x77, 0x88];
    assert.deepEqual([...server.memory.readBytes(RAM_BASE + 0x1000, 4)], little ? bytes : bytes.reverse());
    // 32-bit mode: addresses are cut, and the count register has 32 bits.
    server.cpu.configureContext(0, { assist: false, sixtyFour: false, littleEndian: order === 0 });
    server.cpu.selectContext(0);
    server.cpu.slbWrite(0, 2, 0, 9, SLB_VSID.KS);
    server.enter(0n, 0, HPTE.PP_READ_WRITE, 9);
    server.enter(0x1000n, 0x1000, HPTE.PP_READ_WRITE, 9);
    server.setGpr(3, 0xffff_ffff_0000_1000n);
    const source =
      'li r4,0; lis r8,1; addis r8,r8,1; sldi r8,r8,16; addi r8,r8,2; mtctr r8\nl: addi r4,r4,1; bdnz l; stw r4,0(r3)';
    for (const [i, word] of assembleWords(`${source}; trap`, 0).entries())
      server.memory.write32(RAM_BASE + 4 * i, word);
    server.cpu.codeWritten(RAM_BASE, 4096);
    server.u64[(VCPU_BLOCKS + PC) / 8] = 0n;
    assert.equal(server.cpu.run(1000), TRAPPED);
    assert.equal(server.memory.read32(RAM_BASE + 0x1000), 2);
  });

for (const order of [7, 0] as const)
  test(`32-bit mode wraps at 2^32, storage order ${order}`, () => {
    const server = new TestServer(order);
    server.cpu.configureContext(0, { assist: false, sixtyFour: false, littleEndian: order === 0 });
    server.cpu.selectContext(0);
    const last = 0xffff_f000;
    for (const [esid, vsid] of [
      [0, 9],
      [15, 10],
    ] as const)
      server.cpu.slbWrite(0, 2 + esid, esid, vsid, SLB_VSID.KS);
    server.enter(0n, 0, HPTE.PP_READ_WRITE, 9);
    server.enter(BigInt(last), 0x1000, HPTE.PP_READ_WRITE, 10);
    const place = (address: number, real: number, source: string): void => {
      for (const [i, word] of assembleWords(source, address).entries())
        server.memory.write32(RAM_BASE + real + 4 * i, word);
    };
    // From the last page on to the first: by falling through, by a relative branch, by an absolute one.
    place(0, 0, 'addi r4,r4,1; cmpwi r4,2; beq 0xffffff00; bgt 1f; b 0xfffffff8; 1: trap');
    place(0xffff_fff8, 0x1ff8, 'nop; nop');
    place(0xffff_ff00, 0x1f00, 'bl 1f; 1: mflr r7; ba -240');
    place(0xffff_ff10, 0x1f10, 'b 0xfffffff8');
    place(0x100, 0x100, 'stwu r5,-4(r3); lwz r6,0(r3); trap');
    server.cpu.codeWritten(RAM_BASE, 0x2000);
    const runFrom = (pc: bigint): void => {
      server.u64[(VCPU_BLOCKS + PC) / 8] = pc;
      assert.equal(server.cpu.run(1000), TRAPPED);
    };
    server.setGpr(4, 0n);
    runFrom(0n);
    assert.equal(server.u64[(VCPU_BLOCKS + PC) / 8], 0x14n);
    assert.equal(server.gpr(4), 3n);
    assert.equal(server.gpr(7), 0xffff_ff04n);
    // A word across both ends.
    server.setGpr(3, 0x5555_0000_0000_0002n);
    server.setGpr(5, 0x1122_3344n);
    runFrom(0x100n);
    assert.equal(server.gpr(3), 0x5554_ffff_ffff_fffen);
    assert.equal(server.gpr(6), 0x1122_3344n);
    const bytes = [0x1ffe, 0].flatMap((at) => [...server.memory.readBytes(RAM_BASE + at, 2)]);
    assert.deepEqual(bytes, order === 7 ? [0x11, 0x22, 0x33, 0x44] : [0x44, 0x33, 0x22, 0x11]);
  });
