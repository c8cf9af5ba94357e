import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below the ports that systems give away themselves (Linux from 32768, others from 49152): one of those may be a
 * stranger's before it is put to use, since test processes open thousands of them meanwhile.
 */
const FIRST = 20_000;
const COUNT = 12_000;

/** Processes that follow each other, as those of one run of tests do, begin far apart. */
let next = (process.pid * 97) % COUNT;

/**
 * A port of 127.0.0.1 on which nobody listens, another one at each call. Only for processes that must be told a number
 * (servers in this process listen on port 0), and for addresses that must refuse.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + (next++ % COUNT);
    if (await isFree(port)) return port;
  }
  throw new Error(`every port from ${FIRST} to ${FIRST + COUNT - 1} is in use`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
