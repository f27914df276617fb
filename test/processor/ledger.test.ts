/**
 * What the translator makes of some sequences, as WebAssembly text in a file: every change of generated code shows as a
 * difference there.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import wabt from 'wabt';
import type { RegionRequest, TranslationJob } from '../../src/processor/index.ts';
import { HandlerTable } from '../../src/processor/interpreter/handlers.ts';
import { LEVELS_440, LEVELS_POWER8 } from '../../src/processor/levels.ts';
import { MODEL_440, MODEL_SERVER } from '../../src/processor/model.ts';
import { Translator } from '../../src/processor/region/translate.ts';
import { TestCpu } from './test-cpu.ts';
import { SEGMENT, TestServer } from './test-server.ts';

const FILE = fileURLToPath(new URL('data/ledger.txt', import.meta.url));
const COMMAND = 'POWERVISOR_UPDATE_LEDGER=1 npm test -- test/processor/ledger.test.ts';
const CODE = 0x1000;

const HANDLERS = new HandlerTable(LEVELS_440, null);
const SERVER_HANDLERS = new HandlerTable(LEVELS_POWER8, null);

const SEQUENCES: Readonly<Record<string, string>> = {
  constants: 'li 3,0; lis 4,0x1234; ori 4,4,0x5678; sc',
  'a copy and a no-op': 'mr 3,4; nop; mr 5,5; sc',
  'arithmetic without flags': 'add 3,4,5; subf 6,3,4; neg 7,6; mullw 8,7,3; mulhwu 9,8,7; sc',
  'immediate arithmetic': 'addi 3,4,-5; addis 5,3,1; subfic 6,5,7; mulli 7,6,100; sc',
  'a carry that is used': 'addc 3,4,5; adde 6,7,8; sc',
  'a carry that is not used': 'addic 3,3,1; addic 3,3,1; addic 3,3,1; sc',
  overflow: 'addo 3,4,5; subfo 6,3,4; sc',
  division: 'divw 3,4,5; divwu 6,7,8; sc',
  logic: 'and 3,4,5; orc 6,7,8; nor 9,9,10; eqv 11,12,13; sc',
  'sign extension and counting zeros': 'extsb 3,4; extsh 5,6; cntlzw 7,8; sc',
  'rotates and masks': 'rlwinm 3,4,5,6,7; slwi 5,6,4; srwi 7,8,9; rlwimi 9,10,8,16,23; rlwnm 11,12,13,0,31; sc',
  shifts: 'slw 3,4,5; srw 6,7,8; sraw 9,10,11; srawi 12,13,14; sc',
  'a record form': 'add. 3,4,5; sc',
  'record forms one after the other': 'add. 3,4,5; and. 6,7,8; xor. 9,10,11; sc',
  'a comparison that is branched by': 'cmpwi 3,10; blt 1f; li 4,1; 1: sc',
  'an unsigned comparison in another field': 'cmplw 6,3,4; bgt 6,1f; li 4,1; 1: sc',
  'a comparison that is branched by twice': 'cmpw 3,4; blt 1f; beq 2f; li 5,1; 1: li 5,2; 2: sc',
  'a comparison into a register': 'cmpw 3,4; mfcr 5; rlwinm 5,5,1,31,31; sc',
  'condition-register logic': 'cmpwi 3,0; cmpwi 1,4,0; cror 2,2,6; beq 1f; li 5,1; 1: sc',
  'fields of CR moved': 'mcrf 1,7; mtcrf 0x81,3; mfcr 4; sc',
  'XER moved': 'mtxer 3; mfxer 4; mcrxr 2; sc',
  'LR and CTR moved': 'mtlr 3; mfctr 4; mtctr 5; mflr 6; sc',
  isel: 'cmpw 3,4; isellt 5,3,4; sc',
  'a load': 'lwz 3,8(4); sc',
  'loads of bytes and halfwords': 'lbz 3,1(4); lhz 5,2(4); lha 6,4(4); sc',
  'a store': 'stw 3,8(4); sc',
  'stores of bytes and halfwords': 'stb 3,1(4); sth 5,2(4); sc',
  'indexed and update forms': 'lwzx 3,4,5; lwzu 6,4(7); stwux 8,9,10; sc',
  'byte-reversed': 'lwbrx 3,0,4; lhbrx 5,0,4; stwbrx 3,0,4; sthbrx 5,0,4; sc',
  'loads off one base': 'lwz 3,0(9); lwz 4,4(9); lwz 5,8(9); lwz 6,12(9); sc',
  'lmw and stmw': 'stmw 30,0(4); lmw 30,8(4); sc',
  'the conditional pair': '1: lwarx 3,0,4; addi 3,3,1; stwcx. 3,0,4; bne 1b; sc',
  dcbz: 'dcbz 0,4; sc',
  'a counted loop': 'mtctr 3; 1: add 4,4,5; bdnz 1b; sc',
  'a loop over storage': '1: lbz 4,0(3); cmpwi 4,0; beq 2f; addi 3,3,1; b 1b; 2: sc',
  'a loop within a loop': '1: li 5,10; 2: addi 5,5,-1; cmpwi 5,0; bgt 2b; addic. 3,3,-1; bne 1b; sc',
  'a loop with two entries': 'cmpwi 3,0; beq 2f; 1: addi 4,4,1; 2: addic. 5,5,-1; bgt 1b; sc',
  'a choice of two ways': 'cmpwi 3,0; beq 1f; addi 4,4,1; b 2f; 1: addi 4,4,2; 2: add 5,4,4; sc',
  'a function': 'cmpwi 3,0; beqlr; addi 3,3,-1; blr',
  'a call': 'mflr 20; bl 1f; add 3,3,4; mtlr 20; blr; 1: li 3,1; blr',
  'a computed branch': 'mtctr 3; bctr',
  'a call through a pointer': 'mtctr 3; bctrl; sc',
  'a trap': 'twlgei 3,10; tw 24,3,4; sc',
  'a privileged instruction': 'mfmsr 3',
  'multiply-accumulate': 'macchw 3,4,5; maclhwsu 6,7,8; sc',
  dlmzb: 'dlmzb. 3,4,5; sc',
  'isync and icbi': 'icbi 0,3; isync; sc',
  'the time base': 'mftb 3; sc',
};

/** What differs on a 64-bit processor, big-endian. */
const SERVER_SEQUENCES: Readonly<Record<string, string>> = {
  'words in doubleword registers': 'lwz 3,8(4); addi 3,3,1; extsw 3,3; rlwinm 5,3,2,0,29; stw 5,12(4); sc',
  'doublewords loaded and stored': 'ld 3,8(4); stdx 3,4,5; lwa 6,4(4); sc',
  'comparisons of words and doublewords': 'cmpwi 3,10; blt 1f; cmp 1,1,4,5; bgt 1,1f; cmpl 0,1,4,5; beq 1f; nop; 1: sc',
  'shifts and masks of doublewords': 'rldicl 3,4,8,16; rldicr 5,4,3,60; rldicl 6,4,0,32; sradi 7,4,3; sc',
  'a product and its high half': 'mulld 3,4,5; mullw 6,4,5; mulhdu 7,4,5; sc',
  'a carry through doublewords': 'addc 3,4,5; adde 6,7,8; sc',
  'a loop over doublewords': 'mtctr 3; 1: ldu 5,8(4); add 6,6,5; bdnz 1b; sc',
  'a lock': '1: lwarx 5,0,4; cmpwi 5,0; bne- 2f; stwcx. 6,0,4; bne- 1b; isync; 2: sc',
  'floating point': 'fadd 1,2,3; fmul 4,1,2; stfd 4,8(4); sc',
  'bytes compared': 'lvx 0,4,5; vcmpequb. 1,0,2; blt 6,1f; vperm 3,0,1,2; stvx 3,4,5; 1: sc',
  'doublewords of vectors': 'lxvd2x 34,4,5; xxpermdi 34,34,34,2; vsldoi 3,2,2,4; mfvrd 6,3; stxvd2x 35,4,5; sc',
  'sums that are bounded': 'vadduhs 1,2,3; vsumsws 4,5,6; sc',
  'a call of a function in another module': 'mtctr 12; bctrl; ld 2,24(1); sc',
  'a function with a frame': 'mflr 0; std 0,16(1); stdu 1,-32(1); bl 1f; addi 1,1,32; ld 0,16(1); mtlr 0; blr; 1: blr',
};

/** The module that the translator makes of code of a 64-bit processor. */
function serverTranslated(source: string): Uint8Array {
  const jobs: TranslationJob[] = [];
  const translation = { start: () => {}, post: (job: TranslationJob) => jobs.push(job), poll: () => undefined };
  const cpu = new TestServer('translated', { translation });
  cpu.map(0, 8);
  cpu.load(CODE, source);
  const data = SEGMENT + 0x5000n;
  for (const value of [0n, 1n, 5n, 11n, 0xffff_ffff_ffff_ffffn]) {
    for (const pointer of [value, data]) {
      for (let n = 0; n < 32; n++) cpu.setGprs({ [n]: value });
      cpu.setGprs({ 1: pointer, 4: pointer });
      cpu.run(CODE, 50);
    }
  }
  cpu.translate();
  const first = jobs[0]?.requests[0] as RegionRequest;
  const { bytes } = new Translator(cpu.memory, SERVER_HANDLERS, null, MODEL_SERVER).translate({
    requests: [first],
    released: { cells: [], entries: [] },
  });
  assert.ok(bytes, source);
  return bytes;
}

/** The module that the translator makes of code: of the region that begins with its first instruction. */
function translated(source: string): Uint8Array {
  const jobs: TranslationJob[] = [];
  const cpu = new TestCpu('translated', {
    translation: { start: () => {}, post: (job) => jobs.push(job), poll: () => undefined },
  });
  cpu.map(0, CODE, CODE);
  cpu.map(1, 0x5000, 0x5000);
  cpu.load(CODE, source);
  // Every branch both ways: what was never reached is not translated.
  for (const value of [0, 1, 5, 11, 0xffffffff]) {
    for (let n = 0; n < 32; n++) cpu.setGpr(n, value);
    cpu.run(CODE, 50);
    cpu.setGprs({ 4: 0x5000, 9: 0x5000, 3: value });
    cpu.run(CODE, 50);
  }
  cpu.translate();
  const translator = new Translator(cpu.memory, HANDLERS, null, MODEL_440);
  const first = jobs[0]?.requests[0] as RegionRequest;
  const { bytes } = translator.translate({ requests: [first], released: { cells: [], entries: [] } });
  assert.ok(bytes, source);
  return bytes;
}

const depthOf = (line: string): number => line.split('(').length - line.split(')').length;

/** One line a statement: what is not control flow is joined until its brackets close. */
function compact(text: string): string {
  const lines: string[] = [];
  let open = 0;
  for (const line of text.replace(/ *\(;[^;]*;\)| *;; label.*/g, '').split('\n')) {
    const structure = /^ *\((func|block|loop|if|then|else|local |param)/.test(line);
    if (open > 0) lines[lines.length - 1] += ` ${line.trim()}`;
    else lines.push(line);
    if (structure && open <= 0) open = 0;
    else open = Math.max(0, open + depthOf(line));
  }
  return lines.join('\n');
}

async function ledger(): Promise<string> {
  const tools = await wabt();
  const features = { threads: true, tail_call: true, sign_extension: true, sat_float_to_int: true, simd: true };
  const sequences = [
    ...Object.entries(SEQUENCES).map(([name, source]) => [name, source, translated] as const),
    ...Object.entries(SERVER_SEQUENCES).map(([name, source]) => [`64-bit, ${name}`, source, serverTranslated] as const),
  ];
  const parts = sequences.map(([name, source, translate]) => {
    const module = tools.readWasm(translate(source), { ...features, readDebugNames: false });
    const text = module.toText({ foldExprs: true, inlineExport: false });
    module.destroy();
    const from = text.indexOf('  (func ', text.lastIndexOf('(import '));
    const to = text.indexOf('  (export ');
    return `;; ${name}: ${source}\n${compact(text.slice(from, to))}`;
  });
  return `${parts.join('\n')}`;
}

test('generated code is what the ledger says', async () => {
  const now = await ledger();
  if (process.env['POWERVISOR_UPDATE_LEDGER']) writeFileSync(FILE, now);
  const [actual, expected] = [now, readFileSync(FILE, 'utf8')].map((text) => text.split('\n;; ')) as [
    string[],
    string[],
  ];
  const changed = actual.filter((part, i) => part !== expected[i]).map((part) => part.slice(0, part.indexOf(':')));
  assert.deepEqual(changed, [], `if that is meant: ${COMMAND}, and see what git diff shows`);
  assert.equal(actual.length, expected.length);
});
