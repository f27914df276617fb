/** The processor models that a VM can have: each knows its family, and makes the host's processor for it. */
import {
  type AssistTable,
  type ClassicCpu,
  type ClassicCpuOptions,
  type Host440Cpu,
  type HostCpu,
  type HostCpuOptions,
  type HostE500Cpu,
  LEVELS_OF,
  type MemoryOrder,
  type ProcessorName,
  type ServerCpu,
  type ServerCpuOptions,
} from '../processor/index.ts';
import type { Accel } from './api.ts';
import { classicAssist } from './book3s32/assist.ts';
import { Book3s32 } from './book3s32/book3s32.ts';
import { EMULATED_MNEMONICS as CLASSIC_MNEMONICS } from './book3s32/emulate.ts';
import { CLASSIC_MODELS } from './book3s32/models.ts';
import { classicVectors } from './book3s32/vectors.ts';
import { book3sAssist } from './book3s64/assist.ts';
import { Book3s64 } from './book3s64/book3s64.ts';
import { EMULATED_MNEMONICS as BOOK3S_MNEMONICS } from './book3s64/emulate.ts';
import { BOOK3S_MODELS } from './book3s64/models.ts';
import { sprName as book3sSprName } from './book3s64/sprs.ts';
import { book3sVectors } from './book3s64/vectors.ts';
import { BOOKE_ASSIST } from './booke/44x/assist.ts';
import { Booke440 } from './booke/44x/booke440.ts';
import { EMULATED_MNEMONICS } from './booke/44x/emulate.ts';
import { vectors440 } from './booke/44x/vectors.ts';
import { E500_ASSIST } from './booke/e500/assist.ts';
import { BookeE500 } from './booke/e500/booke-e500.ts';
import { EMULATED_MNEMONICS as E500_MNEMONICS } from './booke/e500/emulate.ts';
import { vectorsE500 } from './booke/e500/vectors.ts';
import { SPRS_440, SPRS_E500 } from './booke/sprs.ts';
import type { FamilyParts, VcpuFamily } from './family.ts';
import { HCALL_INSTRUCTIONS } from './paravirt.ts';

/** Makes host processors: `createHostCpu` and its kin, or stand-ins in tests. */
export interface Processors {
  createHostCpu(options: HostCpuOptions): Host440Cpu;
  createE500Cpu(options: HostCpuOptions): HostE500Cpu;
  createServerCpu(options: ServerCpuOptions): ServerCpu;
  createClassicCpu(options: ClassicCpuOptions): ClassicCpu;
}

/** A vCPU's halves: the host's processor, and the guest's privileged state. */
export interface Halves {
  readonly cpu: HostCpu;
  readonly family: VcpuFamily;
}

export interface Model {
  readonly processor: ProcessorName;
  readonly accels: readonly Accel[];
  /** Sizes of the hash table that KVM may have to keep for the guest, as binary logarithms; null: there is none. */
  readonly hashTable: { readonly smallest: number; readonly largest: number } | null;
  /** The paravirt interface's hypercall sequence, where there is one. */
  readonly hypercall: readonly number[] | null;
  readonly mnemonics: readonly string[];
  readonly sprName: (spr: number) => string;
  /** The order that memory is kept in. */
  order(littleEndian: boolean): MemoryOrder;
  create(processors: Processors, options: HostCpuOptions, parts: Omit<FamilyParts, 'cpu'>): Halves;
}

/** KVM's assist meanings, by the host processor. */
export const ASSIST: Partial<Record<ProcessorName, AssistTable>> = {
  '440': BOOKE_ASSIST,
  ...Object.fromEntries(CLASSIC_MODELS.map((model) => [model.name, classicAssist(model)])),
  e500v2: E500_ASSIST,
  ...Object.fromEntries(BOOK3S_MODELS.map((model) => [model.name, book3sAssist(model)])),
};

const BOOKE: Model = {
  processor: '440',
  accels: ['trap', 'assist'],
  hashTable: null,
  hypercall: null,
  mnemonics: EMULATED_MNEMONICS,
  sprName: (spr) => SPRS_440.nameOf(spr),
  order: () => 3,
  create(processors, options, parts) {
    const cpu = processors.createHostCpu({
      ...options,
      ...(parts.accel === 'assist' && { assist: BOOKE_ASSIST, vectorCode: vectors440 }),
    });
    return { cpu, family: new Booke440({ ...parts, cpu }) };
  },
};

const E500: Model = {
  processor: 'e500v2',
  accels: ['trap', 'pv', 'assist'],
  hashTable: null,
  hypercall: HCALL_INSTRUCTIONS,
  mnemonics: E500_MNEMONICS,
  sprName: (spr) => SPRS_E500.nameOf(spr),
  order: () => 3,
  create(processors, options, parts) {
    const cpu = processors.createE500Cpu({
      ...options,
      ...(parts.accel === 'assist' && { assist: E500_ASSIST, vectorCode: vectorsE500 }),
    });
    return { cpu, family: new BookeE500({ ...parts, cpu }) };
  },
};

const BOOK3S = BOOK3S_MODELS.map((model): [string, Model] => [
  model.name,
  {
    processor: model.name,
    accels: ['trap', 'pv', 'assist'],
    hashTable: { smallest: 18, largest: 26 },
    hypercall: HCALL_INSTRUCTIONS,
    mnemonics: BOOK3S_MNEMONICS,
    sprName: (spr) => book3sSprName(LEVELS_OF[model.name], spr),
    order: (littleEndian) => (littleEndian ? 0 : 7),
    create(processors, options, parts) {
      const cpu = processors.createServerCpu({
        ...options,
        model: model.name,
        ...(parts.accel === 'assist' && {
          assist: ASSIST[model.name] ?? null,
          vectorCode: book3sVectors(model, options.memory.littleEndian),
        }),
      });
      return { cpu, family: new Book3s64({ ...parts, cpu }, model) };
    },
  },
]);

const CLASSIC = CLASSIC_MODELS.map((model): [string, Model] => [
  model.name,
  {
    processor: model.name,
    accels: ['trap', 'pv', 'assist'],
    hashTable: null,
    hypercall: HCALL_INSTRUCTIONS,
    mnemonics: CLASSIC_MNEMONICS,
    sprName: (spr) => book3sSprName(LEVELS_OF[model.name], spr),
    order: () => 7,
    create(processors, options, parts) {
      const cpu = processors.createClassicCpu({
        ...options,
        model: model.name,
        ...(parts.accel === 'assist' && {
          assist: ASSIST[model.name] ?? null,
          vectorCode: classicVectors(model),
        }),
      });
      return { cpu, family: new Book3s32({ ...parts, cpu }, model) };
    },
  },
]);

export const MODELS: ReadonlyMap<string, Model> = new Map([['440ep', BOOKE], ['e500v2', E500], ...BOOK3S, ...CLASSIC]);
