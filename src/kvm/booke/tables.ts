/** What `Vcpu.tables` shows of a Book E guest's translations has in common. */
import { PERMIT } from './mmu.ts';

/** Permissions as letters. */
export const access = (permit: number): string =>
  `${permit & PERMIT.READ ? 'r' : '-'}${permit & PERMIT.WRITE ? 'w' : '-'}${permit & PERMIT.EXECUTE ? 'x' : '-'}`;

/** A page of 4^code KB. */
export const sizeOf = (code: number): string => {
  const kilobytes = 4 ** code;
  if (kilobytes < 1024) return `${kilobytes}K`;
  return kilobytes < 1024 * 1024 ? `${kilobytes / 1024}M` : `${kilobytes / 1024 / 1024}G`;
};
