import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { drained } from '../../src/http/node-internals.ts';
import { LoopbackServer } from '../helpers/loopback-server.ts';

const STALL_MS = 1_000;
/** More than the kernel keeps for a reader. */
const MUCH = Buffer.alloc(32 * 1024 * 1024, 'x');

/** An answer that is being written to a client that reads when it is told to. */
async function answering(use: (response: ServerResponse, client: Socket) => Promise<void>): Promise<void> {
  const server = createServer({ keepAliveTimeout: 60_000 });
  await using loopback = await new LoopbackServer(server).listening();
  const client = connect(loopback.port, '127.0.0.1');
  client.on('error', () => undefined);
  client.pause();
  client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  try {
    await use(response, client);
  } finally {
    client.destroy();
  }
}

test('a client that reads nothing is disconnected', () =>
  answering(async (response) => {
    assert.equal(response.write(MUCH), false);
    await drained(response, STALL_MS);
    assert.equal(response.destroyed, true);
    assert.equal(response.listenerCount('drain'), 0);
  }));

test('a slow client is not a stalled one, however long it takes', () =>
  answering(async (response, client) => {
    assert.equal(response.write(MUCH), false);
    let isOver = false;
    const waiting = drained(response, STALL_MS).then(() => {
      isOver = true;
    });
    const startedMs = performance.now();
    let readBytes = 0;
    client.on('data', (piece: Buffer) => {
      readBytes += piece.length;
      client.pause();
    });
    // A little at a time for three times the limit, then the rest.
    while (performance.now() - startedMs < 3 * STALL_MS) {
      for (let pieces = 0; pieces < 16; pieces++) {
        client.resume();
        await sleep(1);
      }
      await sleep(200);
    }
    assert.equal(response.destroyed, false);
    assert.equal(isOver, false, `${readBytes} bytes are all`);
    client.removeAllListeners('data');
    client.resume();
    await waiting;
    assert.equal(response.destroyed, false);
    assert.equal(response.socket?.timeout, 0);
    response.end();
    await once(response, 'finish');
  }));
