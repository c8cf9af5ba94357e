import { decoderOf } from '../../lib/net/content-coding.ts';
import { charsetOf, decodeText } from '../../lib/text/decode-text.ts';

/** A token response is a few KiB; a larger body does not come from an issuer. */
export const MAX_BODY_BYTES = 256 * 1024;

/** The body is longer than `MAX_BODY_BYTES`, compressed or decompressed. */
export class BodyTooLarge extends Error {
  override readonly name = 'BodyTooLarge';
}

/** The body's description in a response's headers. */
interface BodyHeaders {
  readonly contentEncoding: string | undefined;
  readonly contentType: string | undefined;
}

/** The whole body as text. */
export async function readBody(
  body: AsyncIterable<Buffer>,
  { contentEncoding, contentType }: BodyHeaders,
): Promise<string> {
  const received = await readAll(body);
  // We send `accept-encoding: identity`; some servers compress anyway.
  const makeDecoder = decoderOf(contentEncoding?.trim().toLowerCase() ?? '');
  const isEncoded = makeDecoder !== undefined && received.length > 0;
  const content = isEncoded ? await readAll(makeDecoder(received[0] ?? 0, 'strict').end(received)) : received;
  return decodeText(content, charsetOf(contentType));
}

/** Leaving the loop early destroys the connection or the decoder, which stops the transfer. */
async function readAll(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new BodyTooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
