/** What user space does for a hostile guest: it serves the exits of a slice, within limits. */
import { KVM_EXIT, KVM_SYSTEM_EVENT, type Vcpu } from '../../src/kvm/index.ts';
import type { BoardInstance } from '../../src/machine/instance.ts';
import type { Random } from '../truth/random.ts';
import type { HostileDebugger } from './debugger.ts';

/** A guest runs in slices, between which user space does something. */
export const SLICES = 4;
export const NS_PER_INSTRUCTION = 10;
/** Exits to user space in a slice. */
const MOST_EXITS = 500;

/** How a guest ended. */
export type GuestEnd = 'limit' | 'waiting' | 'shutdown' | 'reset' | 'crash' | 'watchdog' | 'internal error' | 'exits';

/** Runs a slice of a guest that may retire so many instructions in all; answers how the guest has ended, if it has. @throws Error when KVM answers what it must not. */
export function serveSlice(
  vcpu: Vcpu,
  board: BoardInstance,
  random: Random,
  instructions: number,
  debug: HostileDebugger,
): GuestEnd | undefined {
  const { bus, hypercalls, power } = board;
  const run = vcpu.kvmRun;
  const { mmio, dcr } = run;
  for (let exits = 0; exits < MOST_EXITS; exits++) {
    switch (vcpu.run((instructions / SLICES) * NS_PER_INSTRUCTION)) {
      case KVM_EXIT.MMIO:
        if (mmio.isWrite) bus.writeMmio(mmio.physAddr, mmio.len, mmio.data);
        else mmio.data = random.chance(0.2) ? random.word() >>> 0 : bus.readMmio(mmio.physAddr, mmio.len);
        break;
      case KVM_EXIT.DCR:
        if (dcr.isWrite) bus.writeDcr(dcr.dcrn, dcr.data);
        else dcr.data = bus.readDcr(dcr.dcrn);
        break;
      case KVM_EXIT.PAPR_HCALL:
        hypercalls.serve(run.paprHcall, vcpu.id);
        break;
      case KVM_EXIT.EPR:
        run.epr.epr = random.chance(0.5) ? random.word() >>> 0 : (board.proxy?.proxied() ?? 0);
        break;
      case KVM_EXIT.DEBUG:
        debug.stopped(random);
        break;
      case KVM_EXIT.INTR:
        return undefined;
      case KVM_EXIT.HLT:
        if (run.hlt.wakeAt === Number.POSITIVE_INFINITY) return 'waiting';
        break;
      case KVM_EXIT.SYSTEM_EVENT:
        if (run.systemEvent.type === KVM_SYSTEM_EVENT.SHUTDOWN) return 'shutdown';
        return run.systemEvent.type === KVM_SYSTEM_EVENT.CRASH ? 'crash' : 'reset';
      case KVM_EXIT.WATCHDOG:
        return 'watchdog';
      case KVM_EXIT.INTERNAL_ERROR:
        if (!/^[^\n]+$/.test(run.internal.message)) throw new Error('internal error without a message');
        return 'internal error';
      default:
        throw new Error(`exit reason ${run.exitReason}`);
    }
    if (power.pressed !== undefined) return power.release()?.kind;
  }
  return 'exits';
}
