import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { decodeFloats, float32Bytes, type Vector, vectorToJson } from '../openai/embeddings/vectors.ts';

/** `float32`: little-endian numbers, as base64 vectors have them. `json`: the text of the array that the upstream sent. */
type VectorForm = 'float32' | 'json';

/**
 * One vector in the form in which it came, so that a client gets the same digits from the cache as from the upstream. The bytes
 * may be a view on a whole response.
 */
export interface StoredVector {
  readonly form: VectorForm;
  readonly bytes: Uint8Array;
}

export function storedVectorOf(vector: Vector): StoredVector {
  const floats = float32Bytes(vector);
  return floats === null ? { form: 'json', bytes: vectorToJson(vector) } : { form: 'float32', bytes: floats };
}

export function vectorOf({ form, bytes }: StoredVector): Vector {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return form === 'json' ? buffer : decodeFloats(buffer);
}

/** Level 1 of zstd takes 0.1 ms for 1024 numbers; higher levels make the text of digits no smaller. */
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/**
 * A copy that takes little memory: float32 has four bytes a number, and text of 12 to 21 bytes a number becomes five to
 * nine. `expanded` undoes it.
 */
export function compacted({ form, bytes }: StoredVector): StoredVector {
  const source = form === 'json' ? zstdCompressSync(bytes, LEVEL) : bytes;
  // What zlib returns is a view on 64 KiB.
  const copy = Buffer.allocUnsafeSlow(source.byteLength);
  copy.set(source);
  return { form, bytes: copy };
}

export function expanded({ form, bytes }: StoredVector): StoredVector {
  return form === 'json' ? { form, bytes: zstdDecompressSync(bytes) } : { form, bytes };
}
