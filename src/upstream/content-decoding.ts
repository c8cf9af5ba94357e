import type { Transform } from 'node:stream';
import {
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createZstdDecompress,
} from 'node:zlib';
import { ReplyBody } from './reply-body.ts';
import { fromBrokenBody } from './transport-error.ts';

/** The decoders of `content-encoding`; each hands out what it has after every write, so that streams stay live. */
const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: () => createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }),
  'x-gzip': () => createGunzip({ finishFlush: constants.Z_SYNC_FLUSH }),
  deflate: () => createInflate({ finishFlush: constants.Z_SYNC_FLUSH }),
  br: () => createBrotliDecompress(),
  zstd: () => createZstdDecompress(),
};

/**
 * The body behind its `content-encoding`. We ask for none, but corporate proxies compress all the same. An
 * unknown coding is handed on as it is: the reader then reports what it sees.
 */
export function decodeContent(body: ReplyBody, contentEncoding: string | null, upstream: string): ReplyBody {
  const coding = contentEncoding?.trim().toLowerCase() ?? '';
  const makeDecoder = DECODERS[coding];
  if (makeDecoder === undefined) return body;
  const decoder = makeDecoder();
  const decoded = new ReplyBody({
    pause: () => decoder.pause(),
    resume: () => decoder.resume(),
    touched: () => {},
    abort: (reason) => {
      body.destroy(reason);
      decoder.destroy();
    },
  });
  decoder.on('data', (chunk: Buffer) => decoded.push(chunk));
  decoder.on('end', () => decoded.finish());
  decoder.on('error', (error) => decoded.fail(fromBrokenBody(error, upstream)));
  void feed(body, decoder, decoded, upstream);
  return decoded;
}

async function feed(
  body: ReplyBody,
  decoder: Transform,
  decoded: ReplyBody,
  upstream: string,
): Promise<void> {
  try {
    for (let chunk = await body.next(); chunk !== null; chunk = await body.next()) {
      if (decoder.destroyed) return;
      if (!decoder.write(chunk)) await drained(decoder);
    }
    decoder.end();
  } catch (error) {
    decoded.fail(fromBrokenBody(error, upstream));
    decoder.destroy();
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
