/** Counters by cause, under the names of the reference's debugfs files (Linux 6.1, arch/powerpc/kvm/booke.c). */
import type { KvmStats } from './api.ts';

/** Index of each counter in `VcpuCounters.counts`. */
export const COUNTER = {
  sum_exits: 0,
  mmio_exits: 1,
  dcr_exits: 2,
  signal_exits: 3,
  light_exits: 4,
  itlb_real_miss_exits: 5,
  itlb_virt_miss_exits: 6,
  dtlb_real_miss_exits: 7,
  dtlb_virt_miss_exits: 8,
  syscall_exits: 9,
  isi_exits: 10,
  dsi_exits: 11,
  emulated_inst_exits: 12,
  usr_pr_inst_exits: 13,
  dec_exits: 14,
  ext_intr_exits: 15,
  halt_exits: 16,
  halt_wakeup: 17,
  fp_unavail_exits: 18,
  alignment_exits: 19,
  queue_intr: 20,
  tick_exits: 21,
  eager_shadows: 22,
  shadow_flushes: 23,
  emulated_accesses: 24,
  pf_storage: 25,
  pf_instruc: 26,
  sp_storage: 27,
  sp_instruc: 28,
  ld: 29,
  st: 30,
  shadow_evictions: 31,
  vsid_recycles: 32,
  hcall_exits: 33,
  debug_exits: 34,
  /** Exits of which the guest notices nothing: RETRY_DATA and RETRY_FETCH. */
  retry_exits: 35,
  /** KVM_EXIT_EPR. */
  epr_exits: 36,
} as const;

const NAMES = Object.keys(COUNTER);

/** The counters of one vCPU. Doubles, so that no run is long enough to wrap them. */
export class VcpuCounters {
  readonly counts = new Float64Array(NAMES.length);
  /** Emulated instructions, by the index of their mnemonic in the family's table. */
  readonly emulated: Float64Array;
  /** Emulated moves from (0–1023) and to (1024–2047) special registers, by SPR number. */
  readonly sprs = new Float64Array(2048);
  readonly #mnemonics: readonly string[];
  readonly #sprName: (spr: number) => string;

  constructor(mnemonics: readonly string[], sprName: (spr: number) => string) {
    this.#mnemonics = mnemonics;
    this.#sprName = sprName;
    this.emulated = new Float64Array(mnemonics.length);
  }

  /** All counters as one object; of the emulated instructions only those that happened. */
  toObject(): KvmStats {
    const stats: KvmStats = {};
    for (const [index, name] of NAMES.entries()) stats[name] = this.counts[index] as number;
    for (const [index, name] of this.#mnemonics.entries()) {
      const count = this.emulated[index] as number;
      if (count > 0) stats[`emulated_${name}`] = count;
    }
    for (let i = 0; i < 2048; i++) {
      const count = this.sprs[i] as number;
      if (count > 0) stats[`emulated_${i < 1024 ? 'mfspr' : 'mtspr'}_${this.#sprName(i & 1023)}`] = count;
    }
    return stats;
  }
}
