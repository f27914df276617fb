import type { DeviceSpec, InterruptSpec } from '../../device.ts';
import type { InterruptLine } from '../../interrupts.ts';
import { OpenPic, type OpenPicOptions } from '../openpic.ts';

/** As Apple's I/O chip has it (the values that QEMU's machine shows, whose firmware and guests were made for it). */
const KEYLARGO: OpenPicOptions = {
  sources: 64,
  vectorMask: 0xff,
  version: 2,
  vendor: 0,
  configurationMask: 0x20000000,
  destinationMask: 1,
  spurious: 0xff,
};

/** The Open PIC in a KeyLargo chip, whose words are little-endian. */
export function keylargoPic(options: { name: string; output: InterruptSpec }): DeviceSpec {
  return {
    name: options.name,
    interrupts: [options.output],
    create: ({ interrupts: [output] }) => new OpenPic(output as InterruptLine, KEYLARGO),
  };
}
