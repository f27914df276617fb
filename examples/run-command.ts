/**
 * Boots Linux, has its shell run a command, and prints what the command printed:
 *
 *     node examples/run-command.ts FOLDER 'cat /proc/cpuinfo'
 *
 * FOLDER holds uImage and initramfs.cpio.gz; `npm run guests` prints one.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createMachine } from '../src/node/index.ts';

const [folder, command] = process.argv.slice(2);
if (folder === undefined || command === undefined) throw new Error('usage: run-command.ts FOLDER COMMAND');

let text = '';
let heard = (): void => {};
/** Resolves with what the guest prints up to `mark`. */
async function until(mark: string): Promise<string> {
  for (;;) {
    const end = text.indexOf(mark);
    if (end >= 0) {
      const before = text.slice(0, end);
      text = text.slice(end + mark.length);
      return before;
    }
    await new Promise<void>((resolve) => {
      heard = resolve;
    });
  }
}

const machine = createMachine({
  board: 'bamboo',
  console: {
    write(bytes) {
      text += new TextDecoder('latin1').decode(bytes);
      heard();
    },
  },
  kernel: readFileSync(join(folder, 'uImage')),
  initrd: readFileSync(join(folder, 'initramfs.cpio.gz')),
  append: 'console=ttyS0 quiet',
  timeoutNs: 60e9,
});

const ended = machine.run();
ended.then(({ cause, message }) => {
  if (cause !== 'quit') throw new Error(message);
});
await until('# ');
// The echo of what is typed has $((...)) in it, so only the command's own output has these marks.
machine.input(new TextEncoder().encode(`echo be$((1))gin; ${command}; echo e$((1))nd\n`));
await until('be1gin\r\n');
process.stdout.write((await until('e1nd')).replaceAll('\r', ''));
machine.quit();
await ended;
