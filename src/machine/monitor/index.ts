/** Looking into a machine: typed calls, and the same as commands. */
export { type CodeLine, type InspectedMachine, Inspector, type RegisterView } from './inspector.ts';
export { Monitor } from './monitor.ts';
export { type FoundSymbol, SymbolTable } from './symbols.ts';
