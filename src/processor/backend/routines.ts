/** The functions that back ends make of routines: generated once, called from the code of many instructions. */
import { ROUTINES } from '../../isa/routines.ts';
import type { Operand, Routine } from '../../isa/semantics.ts';
import { SPE_ROUTINES } from '../../isa/spe/float.ts';
import type { ProcessorModel } from '../model.ts';
import { Emitter } from '../wasm/emitter.ts';
import type { WasmFunction } from '../wasm/module.ts';
import { local, type Node } from '../wasm/node.ts';
import { OP } from '../wasm/opcodes.ts';
import { RegisterlessBuilder } from './registerless.ts';
import type { RuntimeFunctions } from './storage.ts';

/** A routine's place among those of its module, by name. */
const PLACES = new Map(
  [ROUTINES, SPE_ROUTINES].flatMap((list) => list.map(({ name }, place) => [name, place] as const)),
);

/** The function of a routine, when the first one's index is `first`. */
export function routineIndex(name: string, first: number): number {
  const place = PLACES.get(name);
  if (place === undefined) throw new Error(`${name} is not among the routines`);
  return first + place;
}

/** The builder of a routine's body. */
class RoutineBuilder extends RegisterlessBuilder {
  override repeat(count: Operand, _limit: number, body: (i: Operand) => void): void {
    this.loop(count, body);
  }

  static emit(routine: Routine, runtime: RuntimeFunctions, model: ProcessorModel): WasmFunction {
    const e = new Emitter({ params: routine.params, results: [routine.result] });
    const block = e.newLocal('i32');
    e.code.u8(OP.globalGet);
    e.code.unsigned(0);
    e.setFromStack(block);
    const s = new RoutineBuilder(e, runtime, block, block, model);
    const args: Node[] = routine.params.map((type, index) => local(type, index));
    e.push(routine.body(s, ...args) as Node);
    return { ...e.finish(routine.name), name: routine.name };
  }
}

/** The routines of a model, in order; their functions stand from index `first` on. */
export function routineFunctions(runtime: RuntimeFunctions, model: ProcessorModel, first: number): WasmFunction[] {
  const functions = { ...runtime, routine: (name: string) => routineIndex(name, first) };
  return model.routines.map((routine) => RoutineBuilder.emit(routine, functions, model));
}
