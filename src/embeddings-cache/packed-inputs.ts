import type { StoredVector } from './stored-vector.ts';
import type { FoundInputs } from './vector-store.ts';

/** Inputs on their way between threads: all bytes in one buffer, which is handed over and not copied. */
export interface PackedInputs {
  readonly rows: readonly ({
    readonly form: StoredVector['form'];
    readonly tokens: number;
    readonly length: number;
  } | null)[];
  readonly bytes: ArrayBuffer;
}

export function packedInputs(inputs: FoundInputs['inputs']): PackedInputs {
  const rows = inputs.map((input) =>
    input === null
      ? null
      : { form: input.vector.form, tokens: input.tokens, length: input.vector.bytes.byteLength },
  );
  const bytes = new Uint8Array(rows.reduce((sum, row) => sum + (row?.length ?? 0), 0));
  let at = 0;
  for (const input of inputs) {
    if (input === null) continue;
    bytes.set(input.vector.bytes, at);
    at += input.vector.bytes.byteLength;
  }
  return { rows, bytes: bytes.buffer };
}

export function unpackedInputs({ rows, bytes }: PackedInputs): FoundInputs['inputs'] {
  let at = 0;
  return rows.map((row) => {
    if (row === null) return null;
    const { form, tokens, length } = row;
    const vector = { form, bytes: new Uint8Array(bytes, at, length) };
    at += length;
    return { vector, tokens };
  });
}
