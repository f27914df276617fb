import type { CpuSpec } from '../board.ts';
import type { TreeValue } from '../device.ts';

const KiB = 2 ** 10;

/** `ibm,segment-page-sizes` (LoPAPR 1.1, appendix B.5.2): base page shift, SLB encoding, and shift and PTE encoding of its pages. */
const PAGES_4K = [12, 0, 1, 12, 0] as const;
const PAGES_64K = [16, 0x110, 1, 16, 1] as const;
const PAGES_16M = [24, 0x100, 1, 24, 0] as const;

/** `ibm,processor-segment-sizes`: log2 of the sizes that SLB[B] 0 … 3 select; all ones where there is none. */
const NONE = 0xffffffff;
const SEGMENTS_256M = [28, NONE, NONE, NONE] as const;
const SEGMENTS_1T = [28, 40, NONE, NONE] as const;

/**
 * `ibm,pa-features` (LoPAPR 1.1, appendix B.5.2, table 240): number of attribute bytes, 0, the bytes. Attribute byte 0: MMU,
 * FPU, SLB, CTRL, …; byte 5 bit 0: little-endian. Bit 0 of byte 22, transactional memory, is not set.
 */
const FEATURES_POWER7 = Uint8Array.of(6, 0, 0xf6, 0x3f, 0xc7, 0x00, 0x80, 0xc0);
const FEATURES_POWER8 = Uint8Array.of(
  ...[24, 0],
  ...[0xf6, 0x3f, 0xc7, 0xc0, 0x80, 0xf0],
  ...[0x80, 0x00, 0x00, 0x00, 0x00, 0x00],
  ...[0x00, 0x00, 0x00, 0x00, 0x80, 0x00],
  ...[0x80, 0x00, 0x80, 0x00, 0x00, 0x00],
);

/** A node of /cpus for a server processor. */
function serverCpu(options: {
  model: string;
  nodeName: string;
  pvr: number;
  clockFrequency: number;
  timebaseFrequency: number;
  dataCacheBytes: number;
  instructionCacheBytes: number;
  slbEntries: number;
  pageSizes: readonly number[];
  segmentSizes: readonly number[];
  properties: Readonly<Record<string, TreeValue>>;
}): CpuSpec {
  return {
    model: options.model,
    clockFrequency: options.clockFrequency,
    timebaseFrequency: options.timebaseFrequency,
    node: {
      path: `/cpus/${options.nodeName}@0`,
      properties: {
        device_type: 'cpu',
        reg: [0],
        status: 'okay',
        'cpu-version': [options.pvr],
        '64-bit': true,
        'general-purpose': true,
        'd-cache-block-size': [128],
        'd-cache-line-size': [128],
        'd-cache-size': [options.dataCacheBytes],
        'i-cache-block-size': [128],
        'i-cache-line-size': [128],
        'i-cache-size': [options.instructionCacheBytes],
        'slb-size': [options.slbEntries],
        'ibm,slb-size': [options.slbEntries],
        'ibm,segment-page-sizes': options.pageSizes,
        'ibm,processor-segment-sizes': options.segmentSizes,
        ...options.properties,
      },
    },
  };
}

/** Frequencies in Hz. POWER6 and later have a time base of 512 MHz. */
const POWER_CLOCK = 3_500_000_000;
const POWER_TIMEBASE = 512_000_000;

export const power7: CpuSpec = serverCpu({
  model: 'power7',
  nodeName: 'PowerPC,POWER7',
  pvr: 0x003f0203,
  clockFrequency: POWER_CLOCK,
  timebaseFrequency: POWER_TIMEBASE,
  dataCacheBytes: 32 * KiB,
  instructionCacheBytes: 32 * KiB,
  slbEntries: 32,
  pageSizes: [...PAGES_4K, ...PAGES_64K, ...PAGES_16M],
  segmentSizes: SEGMENTS_1T,
  properties: {
    'ibm,vmx': [2],
    'ibm,dfp': [1],
    'ibm,purr': [1],
    'ibm,spurr': [1],
    'ibm,pa-features': FEATURES_POWER7,
  },
});

export const power8: CpuSpec = serverCpu({
  model: 'power8',
  nodeName: 'PowerPC,POWER8',
  pvr: 0x004d0200,
  clockFrequency: POWER_CLOCK,
  timebaseFrequency: POWER_TIMEBASE,
  dataCacheBytes: 64 * KiB,
  instructionCacheBytes: 32 * KiB,
  slbEntries: 32,
  pageSizes: [...PAGES_4K, ...PAGES_64K, ...PAGES_16M],
  segmentSizes: SEGMENTS_1T,
  properties: {
    'ibm,vmx': [2],
    'ibm,dfp': [1],
    'ibm,purr': [1],
    'ibm,spurr': [1],
    'ibm,pa-features': FEATURES_POWER8,
  },
});

export const ppc970: CpuSpec = serverCpu({
  model: '970',
  nodeName: 'PowerPC,970',
  pvr: 0x00390202,
  clockFrequency: 2_000_000_000,
  timebaseFrequency: 33_333_333,
  dataCacheBytes: 32 * KiB,
  instructionCacheBytes: 64 * KiB,
  slbEntries: 64,
  pageSizes: [...PAGES_4K, ...PAGES_16M],
  segmentSizes: SEGMENTS_256M,
  properties: { altivec: true, 'ibm,vmx': [1] },
});
