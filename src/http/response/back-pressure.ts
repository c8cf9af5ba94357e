import type { ServerResponse } from 'node:http';

/** A client that takes nothing for so long is not going to, and holds its upstream's place meanwhile. */
const LONGEST_STALL_MS = 120_000;

/**
 * Resolves when the client has read enough for more to be written, or has left; leaves no listener behind. A client that
 * takes nothing at all for `stallMs` loses its connection. Node's own timer of the socket measures that: it looks at what
 * the socket has sent, so that a slow client is no stalled one.
 */
export function drained(response: ServerResponse, stallMs = LONGEST_STALL_MS): Promise<void> {
  return new Promise((resolve) => {
    const { socket } = response;
    const settle = (): void => {
      socket?.setTimeout(0);
      response.off('drain', settle);
      socket?.off('drain', settle);
      response.off('close', settle);
      resolve();
    };
    // Nobody listens to `timeout`, so that Node destroys the connection.
    socket?.setTimeout(stallMs);
    response.on('drain', settle);
    // What went around the response drains without a word of it.
    socket?.on('drain', settle);
    response.on('close', settle);
  });
}
