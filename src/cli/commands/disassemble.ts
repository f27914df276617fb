import type { Command } from 'commander';

export function addDisassemble(_program: Command): void {}
