/** `node library.ts IMAGE SECONDS WAY`: runs an image as a program of a user's does. What is thrown ends it with status 1. */
import { readFileSync } from 'node:fs';
import { argv, exit } from 'node:process';
import { Machine } from '../../src/machine/index.ts';
import { createMachine, NodeHost } from '../../src/node/index.ts';

const [image = '', seconds, way] = argv.slice(2);
const console_ = { write: (): void => {} };
const options = { board: 'bare', kernel: readFileSync(image), noReboot: true, timeoutNs: Number(seconds) * 1e9 };
const machine =
  way === 'thread'
    ? createMachine({ ...options, console: console_, codeCache: false })
    : Machine.create({ ...options, host: new NodeHost(console_), ...(way === 'icount' && { icount: 1 }) });
const end = await machine.run();
console.log(end.cause);
exit(end.cause === 'timeout' ? 0 : 1);
