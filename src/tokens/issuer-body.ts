import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate } from 'node:zlib';

/** No token answer is longer; a giant body is somebody else's server. */
export const LONGEST_BODY_BYTES = 256 * 1024;

/** The answer is longer than `LONGEST_BODY_BYTES`, packed or unpacked. */
export class BodyTooLong extends Error {
  override readonly name = 'BodyTooLong';
}

const UNPACKERS = {
  gzip: promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip),
  'x-gzip': promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip),
  deflate: promisify<Buffer, { maxOutputLength: number }, Buffer>(inflate),
  br: promisify<Buffer, { maxOutputLength: number }, Buffer>(brotliDecompress),
} as const;

/** The whole body as text. Leaving the loop early destroys the connection, so nothing goes on being sent to us. */
export async function readBody(
  body: AsyncIterable<Buffer>,
  contentEncoding: string | undefined,
): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > LONGEST_BODY_BYTES) throw new BodyTooLong();
    chunks.push(chunk);
  }
  const packed = Buffer.concat(chunks);
  const unpacked = packed.length === 0 ? packed : await unpack(packed, contentEncoding);
  const text = unpacked.toString('utf8');
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** We ask for no compression; some servers compress all the same. */
async function unpack(packed: Buffer, contentEncoding: string | undefined): Promise<Buffer> {
  const unpacker = UNPACKERS[contentEncoding?.trim().toLowerCase() as keyof typeof UNPACKERS];
  if (unpacker === undefined) return packed;
  try {
    return await unpacker(packed, { maxOutputLength: LONGEST_BODY_BYTES });
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw new BodyTooLong();
    throw error;
  }
}
