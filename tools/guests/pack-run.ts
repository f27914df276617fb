/** `pack-run.ts BUSYBOX OUT`: what goes before an image's files where the kernel has all devices of a run built in. */
import { readFileSync, writeFileSync } from 'node:fs';
import { packModules } from '../../src/node/run/run-archive.ts';

const [busybox = '', out = ''] = process.argv.slice(2);
writeFileSync(out, packModules(new Map(), readFileSync(busybox)));
