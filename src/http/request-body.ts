import type { IncomingMessage } from 'node:http';
import { FerryError } from '../errors.ts';

/**
 * Reads a request's body whole. A declared length over the limit is refused before anything is read. Throws
 * `body_too_large`, or the signal's reason when the client leaves.
 */
export function readRequestBody(
  request: IncomingMessage,
  limitBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > limitBytes) return Promise.reject(tooLarge(limitBytes));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const settle = (): void => {
      request.off('data', onData);
      request.off('end', onEnd);
      request.off('error', onError);
      signal.removeEventListener('abort', onAbort);
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size > limitBytes) {
        settle();
        // The rest is read and dropped, so that the client hears the answer instead of a reset.
        request.resume();
        reject(tooLarge(limitBytes));
        return;
      }
      chunks.push(chunk);
    };
    const onEnd = (): void => {
      settle();
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size));
    };
    const onError = (error: Error): void => {
      settle();
      reject(
        new FerryError('client_gone', {
          message: 'The client closed the connection within its request.',
          cause: error,
        }),
      );
    };
    const onAbort = (): void => {
      settle();
      reject(signal.reason);
    };
    request.on('data', onData);
    request.on('end', onEnd);
    request.on('error', onError);
    signal.addEventListener('abort', onAbort);
  });
}

function tooLarge(limitBytes: number): FerryError {
  return new FerryError('body_too_large', {
    message: `The request body is larger than ${limitBytes} bytes, which is what limits.body allows. Send less or raise the limit.`,
  });
}
