/**
 * A program that boots a guest by the library, as the README's does, starting cold: `library.mjs BOARD CPU MEMORY-MB ACCEL KERNEL INITRD
 * APPEND`. CPU may be "".
 */
import { readFileSync } from 'node:fs';
import { createMachine } from '../dist/node.js';

const [board, cpu, megabytes, accel, kernel, initrd, append] = process.argv.slice(2);
const machine = createMachine({
  board,
  cpu: cpu || undefined,
  memoryBytes: Number(megabytes) * 2 ** 20,
  accel,
  console: process.stdout,
  codeCache: false,
  kernel: readFileSync(kernel),
  initrd: readFileSync(initrd),
  append,
  noReboot: true,
});
const end = await machine.run();
if (end.cause === 'error') throw new Error(end.message);
