/** `npm start`: boots Linux on the 440 board to a shell on this terminal. Words after `--` go to `powervisor boot`. */
import { join } from 'node:path';
import { buildCommand } from './build.mjs';
import { guest } from './guests.mjs';
import { fail, root, run, setUp } from './setup.mjs';

const node = setUp();
const folder = guest('440');
if (!folder) fail("there is no guest to boot (see above; 'npm start' tries again)");
await buildCommand();
console.log('powervisor: starting Linux on a bamboo board; Ctrl-A x ends it, Ctrl-A h tells the other keys');
process.exit(
  await run(node, [
    join(root, 'bin', 'powervisor.mjs'),
    ...['boot', '--machine', 'bamboo', '--kernel', join(folder, 'uImage')],
    ...['--initrd', join(folder, 'initramfs.cpio.gz'), '--append', 'console=ttyS0'],
    ...process.argv.slice(2),
  ]),
);
