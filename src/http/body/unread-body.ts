import type { IncomingHttpHeaders, ServerResponse } from 'node:http';

interface UnreadBodyLimits {
  /** The rest of a refused body may take so long after the answer, and then its connection is used again. */
  readonly restMs: number;
  /** A connection that is to be closed is kept so long after the answer. */
  readonly lingerMs: number;
}

const LIMITS: UnreadBodyLimits = { restMs: 30_000, lingerMs: 2_000 };

/**
 * Reads and drops what still comes of the body of a refused request, for a bounded time: a client that sends all of it
 * before it reads hears the answer, and one that never ends does not keep its connection. Called before the answer is
 * written; `isClosing`: the answer says `connection: close`.
 */
export function dropUnreadBody(
  response: ServerResponse,
  isClosing: boolean,
  limits: UnreadBodyLimits = LIMITS,
): void {
  const { req: request } = response;
  if (request.complete || !hasBody(request.headers)) return;
  const { socket } = request;
  const destroyAfter = (delayMs: number): void => {
    const timer = setTimeout(() => socket.destroy(), delayMs);
    // The connection may outlive many requests, so that nothing of this one may stay on it.
    const stop = (): void => {
      clearTimeout(timer);
      socket.off('close', stop);
      request.off('end', stop);
    };
    socket.once('close', stop);
    if (!isClosing) request.once('end', stop);
  };
  if (!isClosing) {
    response.once('finish', () => {
      if (!request.complete) destroyAfter(limits.restMs);
    });
    return;
  }
  // Node closes the connection with the answer; what the client has sent by then and nobody has read would turn
  // that into a reset, which may overtake the answer.
  const close = socket.destroySoon.bind(socket);
  socket.destroySoon = () => {
    if (request.complete) {
      close();
      return;
    }
    socket.end();
    request.once('end', close);
    destroyAfter(limits.lingerMs);
  };
  request.resume();
}

function hasBody(headers: IncomingHttpHeaders): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = headers;
  return coding !== undefined || (length !== undefined && length !== '0');
}
