import type { Transform } from 'node:stream';
import { decoderOf } from '../../lib/net/content-coding.ts';
import { ResponseBody } from './body.ts';
import { fromBrokenBody } from './transport-error.ts';

/**
 * The body behind its `content-encoding`. We ask for none, but corporate proxies compress anyway. An
 * unknown coding is passed on as it is: the reader then reports what it sees.
 */
export function decodeContent(body: ResponseBody, contentEncoding: string, upstream: string): ResponseBody {
  const makeDecoder = decoderOf(contentEncoding.trim().toLowerCase());
  if (makeDecoder === undefined) return body;
  // Made when the first byte is there.
  let decoder: Transform | null = null;
  const decoded = new ResponseBody({
    pause: () => decoder?.pause(),
    resume: () => decoder?.resume(),
    abort: (reason) => {
      body.destroy(reason);
      decoder?.destroy();
    },
  });
  const begin = (firstByte: number): Transform => {
    decoder = makeDecoder(firstByte, 'lenient');
    decoder.on('data', (chunk: Buffer) => decoded.push(chunk));
    decoder.on('end', () => decoded.finish());
    decoder.on('error', (error) => decoded.fail(fromBrokenBody(error, upstream)));
    return decoder;
  };
  void feed(body, begin, decoded, upstream);
  return decoded;
}

async function feed(
  body: ResponseBody,
  begin: (firstByte: number) => Transform,
  decoded: ResponseBody,
  upstream: string,
): Promise<void> {
  let decoder: Transform | null = null;
  try {
    for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) {
      decoder ??= begin(chunk[0] ?? 0);
      if (decoder.destroyed) return;
      if (!decoder.write(chunk)) await drained(decoder);
    }
    if (decoder === null) decoded.finish();
    else decoder.end();
  } catch (error) {
    decoded.fail(fromBrokenBody(error, upstream));
    decoder?.destroy();
  }
}

function drained(stream: Transform): Promise<void> {
  return new Promise((resolve) => {
    const settle = (): void => {
      stream.off('drain', settle);
      stream.off('close', settle);
      resolve();
    };
    stream.once('drain', settle);
    stream.once('close', settle);
  });
}
