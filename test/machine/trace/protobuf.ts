/** As much of protobuf as a trace has: a message's fields by number, each as often as it comes. */
export type Field = bigint | Uint8Array;

export function fieldsOf(bytes: Uint8Array): Map<number, Field[]> {
  const fields = new Map<number, Field[]>();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 63n) throw new Error('a number does not end');
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = Number(varint());
    let value: Field;
    if ((key & 7) === 0) value = varint();
    else if ((key & 7) === 2) {
      const length = Number(varint());
      if (at + length > bytes.length) throw new Error('a message does not end');
      value = bytes.subarray(at, at + length);
      at += length;
    } else if ((key & 7) === 1) {
      value = bytes.subarray(at, at + 8);
      at += 8;
    } else throw new Error(`wire type ${key & 7}`);
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}

export const numberOf = (fields: Map<number, Field[]>, field: number): number | undefined => {
  const value = fields.get(field)?.[0];
  return typeof value === 'bigint' ? Number(value) : undefined;
};

export const textOf = (fields: Map<number, Field[]>, field: number): string | undefined => {
  const value = fields.get(field)?.[0];
  return value instanceof Uint8Array ? Buffer.from(value).toString() : undefined;
};

export const messagesOf = (fields: Map<number, Field[]>, field: number): Map<number, Field[]>[] =>
  (fields.get(field) ?? []).flatMap((value) => (value instanceof Uint8Array ? [fieldsOf(value)] : []));
