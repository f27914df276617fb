/** A thread that exchanges what is in a shared folder for ways out of it, as fast as it can. */
import * as fs from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

const { share, outside, stop, turns } = workerData as {
  share: string;
  outside: string;
  stop: Int32Array;
  turns: Int32Array;
};

/** Puts something in a name's place and back again. */
function exchange(name: string, make: (path: string) => void): void {
  const path = `${share}/${name}`;
  try {
    fs.renameSync(path, `${path}.kept`);
    make(path);
    fs.unlinkSync(path);
  } catch {}
  try {
    fs.renameSync(`${path}.kept`, path);
  } catch {}
}

const steps: (() => void)[] = [
  () => exchange('d', (path) => fs.symlinkSync(outside, path)),
  () => exchange('f', (path) => fs.symlinkSync(`${outside}/secret`, path)),
  () => exchange('f', (path) => fs.linkSync(`${share}/pipe`, path)),
  () => exchange('d/e', (path) => fs.symlinkSync(outside, path)),
  () => {
    // A directory that leaves the folder for a moment, and its parent's name is a link.
    try {
      fs.renameSync(`${share}/d/e`, `${outside}/../moved`);
      fs.symlinkSync('..', `${share}/d/e`);
      fs.unlinkSync(`${share}/d/e`);
      fs.renameSync(`${outside}/../moved`, `${share}/d/e`);
    } catch {}
  },
  () => {
    // Over what is there at once, so that there is no moment without the name.
    try {
      fs.symlinkSync(`${outside}/secret`, `${share}/link`);
      fs.linkSync(`${share}/g.kept`, `${share}/file`);
      fs.renameSync(`${share}/link`, `${share}/g`);
      fs.renameSync(`${share}/file`, `${share}/g`);
    } catch {}
    for (const name of ['link', 'file']) fs.rmSync(`${share}/${name}`, { force: true });
  },
];

while (Atomics.load(stop, 0) === 0) {
  for (const step of steps) step();
  Atomics.add(turns, 0, 1);
}
parentPort?.postMessage('done');
