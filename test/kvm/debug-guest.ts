/** Small guests for the tests of debugging: code as assembly, in real mode or in problem state, and a device that answers. */
import { assembleWords } from '../../src/isa/index.ts';
import { type Accel, createVm, KVM_EXIT, type Vcpu, type Vm } from '../../src/kvm/index.ts';

const RAM = 2 ** 20;
/** The guest's hash table: 2^11 groups of 128 bytes. */
const HTAB = 0x40000;
const VSID = 0x111n;
/** Where no memory is: loads get DEVICE_VALUE; a store to the word behind ends the run. */
export const DEVICE = 0xf000_0000;
export const DEVICE_VALUE = 0x1234_5678;
export const END = DEVICE + 4;
/** Effective address of the device's page in problem state of a server. */
export const USER_DEVICE = 0x8000;
/** Interrupt vectors of a 440 guest are at IVPR + 0x100 each. */
export const IVPR = 0x1_0000;
const SF = 0x8000_0000_0000_0000n;

export type ServerName = '970' | 'power7' | 'power8';

export interface DebugGuest {
  readonly vm: Vm;
  readonly vcpu: Vcpu;
  /** Runs to the next exit that the device does not serve; its end is undefined. */
  run(): number | undefined;
}

function guestOf(cpu: string, accel: Accel, littleEndian = false): DebugGuest {
  // Time passes when it is looked at, so that a guest that never ends comes back.
  let now = 0;
  const vm = createVm({
    cpu,
    accel,
    clock: { now: () => (now += 1000) },
    timebaseFrequency: 1000,
    maxMemory: RAM,
    littleEndian,
  });
  vm.setUserMemoryRegion({ slot: 0, guestPhysAddr: 0, memorySize: RAM });
  const vcpu = vm.createVcpu(0);
  const run = (): number | undefined => {
    for (let exits = 0; exits < 1000; exits++) {
      const reason = vcpu.run(1e6);
      if (reason !== KVM_EXIT.MMIO) return reason;
      const { mmio } = vcpu.kvmRun;
      if (mmio.isWrite && mmio.physAddr === END) return undefined;
      if (!mmio.isWrite) mmio.data = DEVICE_VALUE;
    }
    throw new Error('the guest does not come to its end');
  };
  return { vm, vcpu, run };
}

/** Puts code at a real address. */
export function load(vm: Vm, address: number, source: string): void {
  for (const [i, word] of assembleWords(source, address).entries()) vm.memory.write32(address + 4 * i, word);
}

function enterHpte(vm: Vm, address: number, real: number): void {
  const page = BigInt(address >>> 12);
  const group = Number((VSID ^ page) & 0x7ffn);
  for (let at = HTAB + 128 * group; ; at += 16) {
    if (vm.memory.read32(at + 4) !== 0) continue;
    const word0 = (VSID << 12n) | ((page >> 11n) << 7n) | 1n;
    vm.memory.write32(at, Number(word0 >> 32n));
    vm.memory.write32(at + 4, Number(word0 & 0xffffffffn));
    vm.memory.write32(at + 8, 0);
    vm.memory.write32(at + 12, ((real & ~0xfff) | 0x192) >>> 0);
    return;
  }
}

/** A server without firmware, vectors from 0 on; pages 1 to 15 and the device have translations. PC is at `start`. */
export function serverGuest(cpu: ServerName, accel: Accel, start: number, msr = 0x1000n): DebugGuest {
  const guest = guestOf(cpu, accel);
  const { vm, vcpu } = guest;
  for (let page = 1; page < 0x10; page++)
    enterHpte(vm, page * 0x1000, page * 0x1000 === USER_DEVICE ? DEVICE : page * 0x1000);
  vcpu.setOneReg(0x1030_0000_0000_0001n, 0n);
  vcpu.setSregs({ sdr1: BigInt(HTAB), slbe0: 0x0800_0000n, slbv0: (VSID << 12n) | 0xc00n });
  vcpu.setRegs({ ...vcpu.getRegs(), pc: BigInt(start), msr: msr | SF });
  return guest;
}

/** A 440 with all of RAM and the device mapped one to one for both privileges; PC is at `start`. */
export function bookeGuest(accel: Accel, start: number, msr = 0x1000n): DebugGuest {
  const guest = guestOf('440ep', accel);
  const { vcpu } = guest;
  vcpu.setTlbEntry(0, { word0: 0x250, word1: 0, word2: 0x3f, tid: 0 });
  vcpu.setTlbEntry(1, { word0: (DEVICE | 0x210) >>> 0, word1: DEVICE, word2: 0x3f, tid: 0 });
  vcpu.setSregs({
    ivpr: IVPR,
    ...Object.fromEntries(Array.from({ length: 16 }, (_, n) => [`ivor${n}`, 0x100 * n])),
  });
  vcpu.setRegs({ ...vcpu.getRegs(), pc: BigInt(start), msr });
  return guest;
}
