import type { Transform } from 'node:stream';
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
} from 'node:zlib';

/** Makes a decoder when the first byte is there. `lenient`: a body that ends too early gives what it has. */
type DecoderFactory = (firstByte: number, ending: 'strict' | 'lenient') => Transform;

const LENIENT = { finishFlush: constants.Z_SYNC_FLUSH };

const DECODERS: ReadonlyMap<string, DecoderFactory> = new Map<string, DecoderFactory>([
  ['gzip', gunzip],
  ['x-gzip', gunzip],
  ['deflate', inflate],
  ['br', () => createBrotliDecompress()],
  ['zstd', () => createZstdDecompress()],
]);

/** The decoder of a `content-encoding`; each writes what it has after every piece, so that streams stay live. Undefined: unknown. */
export function decoderOf(coding: string): DecoderFactory | undefined {
  return DECODERS.get(coding);
}

function gunzip(_firstByte: number, ending: 'strict' | 'lenient'): Transform {
  return createGunzip(ending === 'lenient' ? LENIENT : {});
}

/** The lower half of the first byte in zlib's format (RFC 1950); raw deflate begins with it only for stored blocks, which no known server sends. */
const ZLIB = 0x08;

/** RFC 9110 means zlib's format; many servers and clients send its inside alone. */
function inflate(firstByte: number, ending: 'strict' | 'lenient'): Transform {
  const options = ending === 'lenient' ? LENIENT : {};
  return (firstByte & 0x0f) === ZLIB ? createInflate(options) : createInflateRaw(options);
}
