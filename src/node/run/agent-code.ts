/**
 * The machine code of the guest's agent. It knows nothing of what it does: it reads from a console port a list of steps, each a system
 * call with its arguments, and takes one after another. The list is made on the host for each run (agent-program.ts), and stands in the
 * agent's memory at an address that the host knows, so that steps may write into each other.
 */
import { assembleWords } from '../../isa/index.ts';

/** Where the list is read to: its length in bytes (8), the first step at `FIRST_STEP`. */
export const LIST_ADDRESS = 0x2000_0000;
export const FIRST_STEP = 16;
/** Room for the list; what Linux takes of arguments and environment fits (ARG_MAX is 2 MB for a stack of 8). */
export const LIST_BYTES = 8 * 2 ** 20;
const READ_BYTES = 65536;
/** Memory behind it, for what steps read and write. */
export const SCRATCH_ADDRESS = LIST_ADDRESS + LIST_BYTES + READ_BYTES;
export const SCRATCH_BYTES = 4 * 32768;

/** Offsets of a step's fields, 8 bytes each. */
export const STEP = {
  call: 0,
  argument: 8,
  /** Where the result goes, or the error as a negative number; 0: nowhere. */
  result: 56,
  /** The step after an error; 0: as after a success. */
  onError: 64,
  /** The step after the result 0, which is stored nowhere then; 0: as after any other. */
  onZero: 72,
  /** The step after this one; 0: the one behind it. */
  next: 80,
  bytes: 88,
} as const;

/** In place of a system call's number. */
export const PSEUDO = {
  /** Goes to the step [2] when the word at address [0] is [1]. */
  ifEqual: 0x1000,
  /** Stores at address [0] the doubleword at address [1] with its sign changed. */
  negate: 0x1001,
  nothing: 0x1002,
} as const;

const BASE = 0x1000_0000n;
const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const PAGE = 0x10000n;
/** The port's path stands ahead of the code, with the zero behind it in so many bytes. */
const PATH_AT = HEADER_BYTES + 2 * SEGMENT_BYTES;
const PATH_BYTES = 64;

/** For 64 bits. What a system call keeps is in r14 and up; it needs no stack, so that threads of it need none. */
const SOURCE = `
	li 0, 286		# openat(AT_FDCWD, path, O_CLOEXEC)
	li 3, -100
	lis 4, ${Number(BASE >> 16n)}
	ori 4, 4, ${PATH_AT}
	lis 5, 8
	sc
	bso end
	mr 27, 3
	lis 30, ${LIST_ADDRESS >> 16}
	li 29, 0
more:	li 0, 3			# read(port, behind what is there, …)
	mr 3, 27
	add 4, 30, 29
	lis 5, ${READ_BYTES >> 16}
	sc
	bso end
	cmpdi 3, 0
	ble end
	add 29, 29, 3
	cmpldi 29, 8
	blt more
	ld 28, 0(30)
	cmpld 29, 28
	blt more
	addi 31, 30, ${FIRST_STEP}
step:	ld 0, 0(31)
	ld 3, 8(31)
	ld 4, 16(31)
	ld 5, 24(31)
	ld 6, 32(31)
	ld 7, 40(31)
	ld 8, 48(31)
	cmpldi 0, ${PSEUDO.ifEqual}
	beq equal
	cmpldi 0, ${PSEUDO.negate}
	beq negate
	bgt next
	sc
	bso error
	cmpdi 3, 0
	bne done
	ld 9, ${STEP.onZero}(31)
	cmpdi 9, 0
	beq done
	mr 31, 9
	b step
error:	neg 3, 3
	ld 9, ${STEP.onError}(31)
	cmpdi 9, 0
	beq done
	ld 10, ${STEP.result}(31)
	mr 31, 9
	cmpdi 10, 0
	beq step
	std 3, 0(10)
	b step
done:	ld 10, ${STEP.result}(31)
	cmpdi 10, 0
	beq next
	std 3, 0(10)
next:	ld 9, ${STEP.next}(31)
	cmpdi 9, 0
	addi 31, 31, ${STEP.bytes}
	beq step
	mr 31, 9
	b step
equal:	lwz 9, 0(3)
	cmplw 9, 4
	bne next
	mr 31, 5
	b step
negate:	ld 9, 0(4)
	neg 9, 9
	std 9, 0(3)
	b next
end:	li 0, 234		# exit_group(1)
	li 3, 1
	sc
`;

/** What the code depends on: templates of other code are others. */
export const AGENT_CODE_KEY = SOURCE;

/** The agent as an ELF file: a segment of code, which is all of the file, and one of memory. It reads its list from the port at `path`. */
export function agentProgram(isLittle: boolean, path: string): Uint8Array {
  const code = assembleWords(SOURCE);
  const start = PATH_AT + PATH_BYTES;
  const view = new DataView(new ArrayBuffer(start + 4 * code.length));
  const file = new Uint8Array(view.buffer);
  const half = (at: number, value: number): void => view.setUint16(at, value, isLittle);
  const word = (at: number, value: number): void => view.setUint32(at, value, isLittle);
  const long = (at: number, value: bigint): void => view.setBigUint64(at, value, isLittle);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, isLittle ? 1 : 2, 1]);
  half(16, 2); // ET_EXEC
  half(18, 21); // EM_PPC64
  word(20, 1);
  long(24, BASE + BigInt(start)); // e_entry
  long(32, BigInt(HEADER_BYTES)); // e_phoff
  word(48, 2); // the ABI where an entry is an address in both byte orders
  half(52, HEADER_BYTES);
  half(54, SEGMENT_BYTES);
  half(56, 2);
  const segment = (at: number, flags: number, address: bigint, fileBytes: number, memoryBytes: number): void => {
    word(at, 1); // PT_LOAD
    word(at + 4, flags);
    long(at + 16, address);
    long(at + 24, address);
    long(at + 32, BigInt(fileBytes));
    long(at + 40, BigInt(memoryBytes));
    long(at + 48, PAGE);
  };
  segment(HEADER_BYTES, 5, BASE, file.length, file.length);
  segment(HEADER_BYTES + SEGMENT_BYTES, 6, BigInt(LIST_ADDRESS), 0, LIST_BYTES + READ_BYTES + SCRATCH_BYTES);
  file.set(Buffer.from(path), PATH_AT);
  for (const [i, one] of code.entries()) word(start + 4 * i, one);
  return file;
}
