import { promisify } from 'node:util';
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from 'node:zlib';
import { decodeText } from '../../lib/text/decode-text.ts';

/** A token response is a few KiB; a larger body does not come from an issuer. */
export const MAX_BODY_BYTES = 256 * 1024;

/** The body is longer than `MAX_BODY_BYTES`, compressed or decompressed. */
export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge';
}

type Decompress = (compressed: Buffer, limit: { maxOutputLength: number }) => Promise<Buffer>;

const decompressGzip: Decompress = promisify(gunzip);
const decompressZlib: Decompress = promisify(inflate);
const decompressRaw: Decompress = promisify(inflateRaw);

const DECOMPRESSORS: Readonly<Record<string, Decompress>> = {
  gzip: decompressGzip,
  'x-gzip': decompressGzip,
  // RFC 9110 8.4.1.2: the zlib form (first byte 0x78 for every window size in use); some servers send it bare.
  deflate: (compressed, limit) =>
    (compressed[0] === 0x78 ? decompressZlib : decompressRaw)(compressed, limit),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};

/** What a response's headers say about its body. */
interface BodyHeaders {
  readonly contentEncoding: string | undefined;
  readonly contentType: string | undefined;
}

/** The whole body as text. Leaving the loop early destroys the connection, which stops the transfer. */
export async function readBody(
  body: AsyncIterable<Buffer>,
  { contentEncoding, contentType }: BodyHeaders,
): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  const received = Buffer.concat(chunks);
  const content = received.length === 0 ? received : await decompress(received, contentEncoding);
  return decodeText(content, /\bcharset\s*=\s*"?([\w.:-]+)/i.exec(contentType ?? '')?.[1]);
}

/** We send `accept-encoding: identity`; some servers compress all the same. */
async function decompress(body: Buffer, contentEncoding: string | undefined): Promise<Buffer> {
  const encoding = contentEncoding?.trim().toLowerCase() ?? '';
  const decompressor = Object.hasOwn(DECOMPRESSORS, encoding) ? DECOMPRESSORS[encoding] : undefined;
  if (decompressor === undefined) return body;
  try {
    return await decompressor(body, { maxOutputLength: MAX_BODY_BYTES });
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw new BodyTooLarge();
    throw error;
  }
}
