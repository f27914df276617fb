import { Code } from './code.ts';
import { OP, type WasmType } from './opcodes.ts';

/** Type of a function. */
export interface Signature {
  readonly params: readonly WasmType[];
  readonly results: readonly WasmType[];
}

export type Import =
  | { readonly name: string; readonly kind: 'memory'; readonly pages: number; readonly maximum: number }
  | { readonly name: string; readonly kind: 'table' }
  | { readonly name: string; readonly kind: 'global' }
  | { readonly name: string; readonly kind: 'function'; readonly signature: Signature };

export interface WasmFunction {
  readonly signature: Signature;
  /** Types of the locals after the parameters. */
  readonly locals: readonly WasmType[];
  readonly body: Uint8Array;
  /** Offsets in `body` of `if` and `br_if` instructions, with whether the condition is likely. */
  readonly hints: readonly { readonly offset: number; readonly likely: boolean }[];
  readonly exportName?: string;
  /** What profilers call it. */
  readonly name?: string;
}

/**
 * Writes a module: imports all from module "e", functions exported by name, branch hints in the standard custom section
 * (WebAssembly branch hinting proposal: `metadata.code.branch_hint`).
 */
export function encodeModule(
  imports: readonly Import[],
  functions: readonly WasmFunction[],
  extraTypes: readonly Signature[] = [],
): Uint8Array {
  const out = new Code();
  const types: Signature[] = [];
  const keys = new Map<string, number>();
  const typeIndex = (signature: Signature): number => {
    const key = `${signature.params.join()}>${signature.results.join()}`;
    const known = keys.get(key);
    if (known !== undefined) return known;
    keys.set(key, types.length);
    types.push(signature);
    return types.length - 1;
  };
  // Types that bodies name (call_indirect) come first, so that their indexes are known to who writes the bodies.
  for (const signature of extraTypes) typeIndex(signature);
  for (const item of imports) if (item.kind === 'function') typeIndex(item.signature);
  for (const fn of functions) typeIndex(fn.signature);

  out.append(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));
  const section = (id: number, write: (c: Code) => void): void => {
    const content = new Code();
    write(content);
    out.u8(id);
    out.unsigned(content.length);
    out.append(content.view());
  };
  section(1, (c) => {
    c.unsigned(types.length);
    for (const { params, results } of types) {
      c.u8(0x60);
      c.unsigned(params.length);
      for (const type of params) c.u8(OP[type]);
      c.unsigned(results.length);
      for (const type of results) c.u8(OP[type]);
    }
  });
  section(2, (c) => {
    c.unsigned(imports.length);
    for (const item of imports) {
      c.name('e');
      c.name(item.name);
      switch (item.kind) {
        case 'function':
          c.u8(0);
          c.unsigned(typeIndex(item.signature));
          break;
        case 'table':
          c.append(new Uint8Array([1, OP.funcref, 0, 0]));
          break;
        case 'memory':
          c.append(new Uint8Array([2, 3]));
          c.unsigned(item.pages);
          c.unsigned(item.maximum);
          break;
        case 'global':
          c.append(new Uint8Array([3, OP.i32, 0]));
          break;
      }
    }
  });
  section(3, (c) => {
    c.unsigned(functions.length);
    for (const fn of functions) c.unsigned(typeIndex(fn.signature));
  });
  const importedFunctions = imports.filter((item) => item.kind === 'function').length;
  const exported = functions.map((fn, index) => ({ fn, index })).filter(({ fn }) => fn.exportName !== undefined);
  section(7, (c) => {
    c.unsigned(exported.length);
    for (const { fn, index } of exported) {
      c.name(fn.exportName as string);
      c.u8(0);
      c.unsigned(importedFunctions + index);
    }
  });
  const bodies = functions.map((fn) => {
    const body = new Code();
    const runs: { type: WasmType; count: number }[] = [];
    for (const type of fn.locals) {
      const last = runs[runs.length - 1];
      if (last?.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    body.unsigned(runs.length);
    for (const { type, count } of runs) {
      body.unsigned(count);
      body.u8(OP[type]);
    }
    const localBytes = body.length;
    body.append(fn.body);
    return { bytes: body.view(), localBytes };
  });
  const hinted = functions.map((fn, index) => ({ fn, index })).filter(({ fn }) => fn.hints.length > 0);
  if (hinted.length > 0) {
    section(0, (c) => {
      c.name('metadata.code.branch_hint');
      c.unsigned(hinted.length);
      for (const { fn, index } of hinted) {
        c.unsigned(importedFunctions + index);
        c.unsigned(fn.hints.length);
        for (const hint of fn.hints) {
          // Offsets count from the start of the function's locals declaration.
          c.unsigned(hint.offset + (bodies[index] as { localBytes: number }).localBytes);
          c.unsigned(1);
          c.u8(hint.likely ? 1 : 0);
        }
      }
    });
  }
  section(10, (c) => {
    c.unsigned(bodies.length);
    for (const { bytes } of bodies) {
      c.unsigned(bytes.length);
      c.append(bytes);
    }
  });
  const named = functions.map((fn, index) => ({ fn, index })).filter(({ fn }) => fn.name !== undefined);
  if (named.length > 0) {
    section(0, (c) => {
      c.name('name');
      const names = new Code();
      names.unsigned(named.length);
      for (const { fn, index } of named) {
        names.unsigned(importedFunctions + index);
        names.name(fn.name as string);
      }
      c.u8(1);
      c.unsigned(names.length);
      c.append(names.view());
    });
  }
  return out.take();
}
