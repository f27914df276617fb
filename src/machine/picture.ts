/** Pictures of a machine's display, and files of them. */
import { zlibSync } from 'fflate';
import { crc32 } from './loaders/crc32.ts';

/** What a display shows: rows from the top, each pixel red, green, blue, 255: as a canvas's ImageData has it. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8ClampedArray<ArrayBuffer>;
}

/** A device whose picture can be had. */
export interface DisplayDevice {
  /** Undefined: nothing is shown. */
  picture(): Picture | undefined;
}

/** A device that keys can be pressed on. */
export interface KeyboardDevice {
  /** A key by its name (`KeyboardEvent.code`), pressed or let go. False: it has no such key. */
  key(name: string, isDown: boolean): boolean;
}

/** A device that points. */
export interface PointerDevice {
  /** Moved so far to the right and down; buttons that are down: 1 the first, 2 the second. */
  move(x: number, y: number, buttons: number): void;
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
/** Eight bits a sample, red, green and blue, no interlacing. */
const FORMAT = [8, 2, 0, 0, 0];
const HEADER_BYTES = 13;
const SAMPLES = 3;

/** A chunk of a PNG file: length, kind, contents, check sum (W3C PNG, 5.3). */
function chunk(kind: string, contents: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(contents.length + 12);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, contents.length);
  for (let i = 0; i < 4; i++) bytes[4 + i] = kind.charCodeAt(i);
  bytes.set(contents, 8);
  view.setUint32(8 + contents.length, crc32(bytes.subarray(4, 8 + contents.length)));
  return bytes;
}

/** The picture as a PNG file. */
export function encodePng({ width, height, pixels }: Picture): Uint8Array {
  const rows = new Uint8Array(height * (1 + SAMPLES * width));
  let to = 0;
  let from = 0;
  for (let y = 0; y < height; y++) {
    // No filter.
    to++;
    for (let x = 0; x < width; x++, from += 4) {
      rows[to++] = pixels[from] as number;
      rows[to++] = pixels[from + 1] as number;
      rows[to++] = pixels[from + 2] as number;
    }
  }
  const header = new Uint8Array(HEADER_BYTES);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set(FORMAT, 8);
  const parts = [
    Uint8Array.from(SIGNATURE),
    chunk('IHDR', header),
    chunk('IDAT', zlibSync(rows)),
    chunk('IEND', new Uint8Array(0)),
  ];
  const file = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    file.set(part, at);
    at += part.length;
  }
  return file;
}
