import { promisify, TextDecoder } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from 'node:zlib';

/** No token answer is longer; a giant body is somebody else's server. */
export const LONGEST_BODY_BYTES = 256 * 1024;

/** The answer is longer than `LONGEST_BODY_BYTES`, packed or unpacked. */
export class BodyTooLong extends Error {
  override readonly name = 'BodyTooLong';
}

type Unpack = (packed: Buffer, limit: { maxOutputLength: number }) => Promise<Buffer>;

const gunzipped: Unpack = promisify(gunzip);
const zlibInflated: Unpack = promisify(inflate);
const rawInflated: Unpack = promisify(inflateRaw);

const UNPACKERS: Readonly<Record<string, Unpack>> = {
  gzip: gunzipped,
  'x-gzip': gunzipped,
  // RFC 9110 wants the zlib form (its first byte is 0x78 for every window that is in use), some servers send it bare.
  deflate: (packed, limit) => ((packed[0] ?? 0) === 0x78 ? zlibInflated : rawInflated)(packed, limit),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};

/** What an answer's headers say about its body. */
interface BodyHeaders {
  readonly contentEncoding: string | undefined;
  readonly contentType: string | undefined;
}

/** The whole body as text. Leaving the loop early destroys the connection, so nothing goes on being sent to us. */
export async function readBody(
  body: AsyncIterable<Buffer>,
  { contentEncoding, contentType }: BodyHeaders,
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
  return decoderFor(unpacked, contentType).decode(unpacked);
}

/** By the byte order mark, else by the charset that the answer names, else UTF-8. All take a mark away. */
function decoderFor(bytes: Buffer, contentType: string | undefined): TextDecoder {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le');
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be');
  const charset = /\bcharset\s*=\s*"?([\w.:-]+)/i.exec(contentType ?? '')?.[1] ?? 'utf-8';
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder();
  }
}

/** We ask for no compression; some servers compress all the same. */
async function unpack(packed: Buffer, contentEncoding: string | undefined): Promise<Buffer> {
  const encoding = contentEncoding?.trim().toLowerCase() ?? '';
  const unpacker = Object.hasOwn(UNPACKERS, encoding) ? UNPACKERS[encoding] : undefined;
  if (unpacker === undefined) return packed;
  try {
    return await unpacker(packed, { maxOutputLength: LONGEST_BODY_BYTES });
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw new BodyTooLong();
    throw error;
  }
}
