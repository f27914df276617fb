/** For worker scripts of one's own, with boards and devices of one's own: the package's entry `powervisor/browser/worker`. */
export { BrowserHost } from './host.ts';
export type { Port } from './protocol.ts';
export { type ServeOptions, serveMachine } from './serve.ts';
