/** What gdb is told of a processor (gdb's manual, "Target Descriptions", "PowerPC Features") and of its memory. */
import type { DebugRegister, DebugRegisters, RegisterPart } from '../debugger/index.ts';

const FEATURES: Readonly<Record<RegisterPart, string>> = {
  core: 'org.gnu.gdb.power.core',
  fpu: 'org.gnu.gdb.power.fpu',
  altivec: 'org.gnu.gdb.power.altivec',
  vsx: 'org.gnu.gdb.power.vsx',
  spe: 'org.gnu.gdb.power.spe',
  special: 'org.powervisor.power.special',
};

const VECTOR_TYPES = [
  '<vector id="v4f" type="ieee_single" count="4"/>',
  '<vector id="v4i32" type="int32" count="4"/>',
  '<vector id="v8i16" type="int16" count="8"/>',
  '<vector id="v16i8" type="int8" count="16"/>',
  '<union id="vec128">',
  '<field name="uint128" type="uint128"/>',
  '<field name="v4_float" type="v4f"/>',
  '<field name="v4_int32" type="v4i32"/>',
  '<field name="v8_int16" type="v8i16"/>',
  '<field name="v16_int8" type="v16i8"/>',
  '</union>',
].join('');

/** Its type, but for integers, which is what registers are if nothing is said. */
function typeOf({ name, bits }: DebugRegister): string {
  if (bits === 128) return ' type="vec128"';
  if (name === 'pc' || name === 'lr') return ' type="code_ptr"';
  return /^f\d/.test(name) ? ' type="ieee_double"' : '';
}

/** Groups of `info registers` beside those that gdb makes of the types. */
const GROUPS: Partial<Record<RegisterPart, string>> = { special: 'spr' };

/** The target description, in one piece and in few words: gdb asks for 4 KB at a time, and each time is a round trip. */
export function targetDescription(registers: DebugRegisters): string {
  const { architecture } = registers.family;
  const parts = new Set(registers.all.map(({ part }) => part));
  const features = [...parts].map((part) => {
    const group = GROUPS[part] === undefined ? '' : ` group="${GROUPS[part]}"`;
    let next = -1;
    const rows = registers.all
      .filter((register) => register.part === part)
      .map((register) => {
        const number = register.number === next ? '' : ` regnum="${register.number}"`;
        next = register.number + 1;
        return `<reg name="${register.name}" bitsize="${register.bits}"${number}${typeOf(register)}${group}/>`;
      });
    return `<feature name="${FEATURES[part]}">${part === 'altivec' ? VECTOR_TYPES : ''}${rows.join('')}</feature>`;
  });
  return (
    '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0">' +
    `<architecture>${architecture}</architecture>${features.join('')}</target>`
  );
}

/** All of the address space may be asked for: where there is nothing, the answer is an error, and says so at the moment. */
export function memoryMap(bits: 32 | 64): string {
  const half = 2n ** BigInt(bits - 1);
  const region = (start: bigint): string =>
    `<memory type="ram" start="0x${start.toString(16)}" length="0x${half.toString(16)}"/>`;
  return (
    '<?xml version="1.0"?><!DOCTYPE memory-map PUBLIC "+//IDN gnu.org//DTD GDB Memory Map V1.0//EN" ' +
    `"http://sourceware.org/gdb/gdb-memory-map.dtd"><memory-map>${region(0n)}${region(half)}</memory-map>`
  );
}

/** lldb looks for a place of its own, which it has to find: the address space's last pages are said to be free. */
export function memoryRegion(address: bigint | undefined, bits: 32 | 64): string {
  const top = 2n ** BigInt(bits) - 0x1_0000n;
  if (address === undefined) return 'E16';
  return address < top ? `start:0;size:${top.toString(16)};permissions:rwx;` : `start:${top.toString(16)};size:ffff;`;
}

export function threadList(id: string, name: string): string {
  return `<?xml version="1.0"?><threads><thread id="${id}" core="0" name="${name}"/></threads>`;
}
