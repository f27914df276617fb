/** A server for gdb and lldb: it knows streams of bytes, and nothing of what carries them. */
export { GdbConnection, type GdbTarget, type GdbTransport } from './connection.ts';
