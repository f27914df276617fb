import type { Command } from 'commander';
import { formatBytes } from '../../machine/error.ts';
import { boards } from '../../machine/index.ts';
import { print } from '../print.ts';

export function addMachines(program: Command): void {
  program
    .command('machines')
    .description('list the machines')
    .action(() => {
      const width = Math.max(...boards.map((board) => board.name.length));
      for (const { name, description, memory, cpus, accels } of boards) {
        print(
          `${name.padEnd(width)}  ${description}\n` +
            `${' '.repeat(width)}  processors: ${cpus.map(({ model }) => model).join(', ')}; accel: ${accels.join(', ')}; ` +
            `memory: ${formatBytes(memory.defaultBytes)} (${memory.sizes} fit)\n`,
        );
      }
    });
}
