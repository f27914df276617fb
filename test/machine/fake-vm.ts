import {
  KVM_EXIT,
  type KvmExitReason,
  type KvmRegs,
  type KvmRun,
  type TlbEntry,
  type Vcpu,
  type VcpuCapability,
  type Vm,
} from '../../src/kvm/api.ts';
import type { MachineHost } from '../../src/machine/host.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A KVM whose guest is a script: each step is one `run()`, which sets the shared area and names the exit. */
export type Script = (run: KvmRun) => Generator<KvmExitReason, void, void>;

export interface FakeVm extends Vm {
  bytes: Uint8Array;
  interrupts: number[];
  tlb: Map<number, TlbEntry>;
  regs: KvmRegs;
  resets: number;
  runs: number;
  /** The longest that a run might have taken, nanoseconds. */
  longest: number;
  /** Arguments of allocateHtab and enableCap, in order. */
  htabs: number[];
  capabilities: VcpuCapability[];
  pvinfo: readonly number[] | undefined;
}

/** Makes it. A script that ends is followed by INTR exits for ever. */
export function makeFakeVm(memoryBytes: number, script: Script): FakeVm {
  const bytes = new Uint8Array(memoryBytes);
  const view = new DataView(bytes.buffer);
  const contains = (address: number, length: number): boolean => address >= 0 && address + length <= memoryBytes;
  const write = (address: number, data: Uint8Array): boolean => {
    if (!contains(address, data.length)) return false;
    bytes.set(data, address);
    return true;
  };
  const kvmRun: Mutable<KvmRun> = {
    exitReason: KVM_EXIT.UNKNOWN,
    immediateExit: false,
    mmio: { physAddr: 0, data: 0, len: 0, isWrite: false },
    dcr: { dcrn: 0, data: 0, isWrite: false },
    hlt: { wakeAt: Number.POSITIVE_INFINITY },
    osi: { gprs: new BigUint64Array(32) },
    paprHcall: { nr: 0, ret: 0n, args: new BigUint64Array(9) },
    epr: { epr: 0 },
    systemEvent: { type: 0 },
    internal: { message: '', pc: 0 },
    debug: { arch: { address: 0n, status: 0 } },
  };
  const steps = script(kvmRun);
  const unused = (): never => {
    throw new Error('not part of the fake');
  };
  const vm: FakeVm = {
    bytes,
    interrupts: [],
    tlb: new Map(),
    regs: {
      pc: 0n,
      cr: 0n,
      ctr: 0n,
      lr: 0n,
      xer: 0n,
      msr: 0xffffn,
      srr0: 0n,
      srr1: 0n,
      pid: 0n,
      sprg: new Array(8).fill(0n),
      gpr: new Array(32).fill(99n),
    },
    resets: 0,
    runs: 0,
    longest: 0,
    htabs: [],
    capabilities: [],
    pvinfo: undefined,
    clock: { now: () => 0 },
    stats: { vm_counter: 1 },
    setUserMemoryRegion: () => {},
    allocateHtab: (log2Bytes) => void vm.htabs.push(log2Bytes),
    getDirtyLog: unused,
    save: unused,
    restore: unused,
    memoryAreas: unused,
    memoryOrder: 7,
    getPvinfo: () => vm.pvinfo,
    disassemble: unused,
    memory: {
      contains,
      read8: (address) => (contains(address, 1) ? view.getUint8(address) : undefined),
      read16: (address) => (contains(address, 2) ? view.getUint16(address) : undefined),
      read32: (address) => (contains(address, 4) ? view.getUint32(address) : undefined),
      littleEndian: false,
      write8: (address, value) => write(address, Uint8Array.of(value)),
      write16: (address, value) => write(address, Uint8Array.of(value >>> 8, value)),
      write32: (address, value) => write(address, Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)),
      readInto: (address, into) => {
        if (!contains(address, into.length)) return false;
        into.set(bytes.subarray(address, address + into.length));
        return true;
      },
      readBytes: (address, length) => (contains(address, length) ? bytes.slice(address, address + length) : undefined),
      writeBytes: (address, data) => write(address, data),
      fill: (address, length, value) => {
        if (!contains(address, length)) return false;
        bytes.fill(value, address, address + length);
        return true;
      },
    },
    createVcpu: (id): Vcpu => ({
      id,
      kvmRun,
      run: (maxNanoseconds) => {
        vm.runs++;
        vm.longest = Math.max(vm.longest, maxNanoseconds);
        const step = steps.next();
        kvmRun.exitReason = step.done === true ? KVM_EXIT.INTR : step.value;
        return kvmRun.exitReason;
      },
      interrupt: (kind) => void vm.interrupts.push(kind),
      criticalInterrupt: (kind) => void vm.interrupts.push(-kind),
      getRegs: () => ({ ...vm.regs, gpr: [...vm.regs.gpr] }),
      setRegs: (regs) => {
        vm.regs = regs;
      },
      getSregs: unused,
      setSregs: unused,
      getOneReg: unused,
      setOneReg: unused,
      translate: unused,
      setTlbEntry: (index, entry) => void vm.tlb.set(index, entry),
      setGuestDebug: unused,
      setTracer: unused,
      vectorName: (vector) => `vector ${vector}`,
      hypercallName: () => undefined,
      tables: () => [],
      chain: () => [],
      enableCap: (capability) => vm.capabilities.push(capability) > 0,
      reset: () => void vm.resets++,
      stats: { sum_exits: 5 },
    }),
  };
  return vm;
}

/** A host with a clock that moves on by one microsecond each time it is read, and jumps when it sleeps. */
export function makeFakeHost() {
  let now = 0;
  let wake: (() => void) | undefined;
  const host = {
    output: '',
    sleeps: [] as number[],
    yields: 0,
    /** Called instead of waiting for ever. */
    idle: (): void => {},
    clock: { now: () => (now += 1000) },
    console: {
      write: (bytes: Uint8Array) => {
        host.output += String.fromCharCode(...bytes);
      },
    },
    sleep: (untilNs: number): Promise<void> => {
      host.sleeps.push(untilNs);
      return new Promise((resolve) => {
        wake = resolve;
        if (untilNs === Number.POSITIVE_INFINITY) host.idle();
        else {
          now = Math.max(now, untilNs);
          resolve();
        }
      });
    },
    wake: () => wake?.(),
    yield: async (): Promise<void> => {
      host.yields++;
      // Time for the event loop: macrotasks of the test may run.
      if (host.yields % 100 === 0) await new Promise((resolve) => setTimeout(resolve));
    },
  };
  return host satisfies MachineHost;
}
