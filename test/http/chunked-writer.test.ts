import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import { ChunkedWriter, drained } from '../../src/http/node-internals.ts';
import { LoopbackServer } from '../helpers/loopback-server.ts';

const request = (path: string, version = '1.1'): string => `GET ${path} HTTP/${version}\r\nHost: a\r\n\r\n`;

/** Answers `requests`, sent at once on one connection, by path; gives what the client read until the connection's end. */
async function exchange(
  requests: string,
  answer: (path: string, response: ServerResponse) => void | Promise<void>,
): Promise<string> {
  const server = createServer((incoming, response) => {
    response.sendDate = false;
    void answer(incoming.url ?? '', response);
  });
  await using loopback = await new LoopbackServer(server).listening();
  const client = connect(loopback.port, '127.0.0.1');
  client.write(requests);
  let received = '';
  for await (const piece of client.setEncoding('utf8')) received += piece;
  return received;
}

const LAST = { connection: 'close' };
const bodyOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4);

/** Lets what was written in this turn go out. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('texts are chunks after the headers, sized in bytes, one for each turn of the event loop, and then the end', async () => {
  const received = await exchange(request('/'), async (_path, response) => {
    const writer = new ChunkedWriter(response);
    response.writeHead(200, LAST);
    for (const texts of [['first'], ['zwölf €'], [''], ['a', '', '🛶', 'b'], ['ASCII'], ['last', '\n\n']]) {
      for (const text of texts) writer.write(text);
      if (texts[0] !== 'last') await turn();
    }
    writer.end();
  });
  assert.match(received, /\r\ntransfer-encoding: chunked\r\n/i);
  assert.equal(
    bodyOf(received),
    '5\r\nfirst\r\na\r\nzwölf €\r\n6\r\na🛶b\r\n5\r\nASCII\r\n6\r\nlast\n\n\r\n0\r\n\r\n',
  );
});

test('all data of one turn of the event loop is one write to the socket', async () => {
  let writes = 0;
  await exchange(request('/'), async (_path, response) => {
    const writer = new ChunkedWriter(response);
    response.writeHead(200, LAST);
    writer.flushHeaders();
    const { socket } = response;
    assert.ok(socket !== null);
    const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
    socket.write = (...args: unknown[]) => {
      writes++;
      return write(...args);
    };
    for (let count = 0; count < 10; count++) {
      writer.write('alone');
      await turn();
    }
    for (let count = 0; count < 10; count++) writer.write('together');
    await turn();
    assert.equal(writes, 11);
    writer.end();
  });
});

test('a client of HTTP/1.0 gets the texts without chunks', async () => {
  const received = await exchange(request('/', '1.0'), (_path, response) => {
    const writer = new ChunkedWriter(response);
    response.writeHead(200);
    for (const text of ['one ', 'two ', 'three']) writer.write(text);
    writer.end();
  });
  assert.equal(bodyOf(received), 'one two three');
});

test('a response that waits for an earlier one on its connection is complete and comes after it', async () => {
  let first: ServerResponse | null = null;
  const received = await exchange(request('/first') + request('/second'), (path, response) => {
    const writer = new ChunkedWriter(response);
    response.writeHead(200, path === '/second' ? LAST : {});
    if (path === '/first') {
      first = response;
      writer.write('1');
      return;
    }
    writer.write('2');
    writer.write('3');
    first?.end('1');
    // The first one is told complete in the next ticks: from then on the socket is the second one's.
    setImmediate(() => {
      writer.write('4');
      writer.write('5');
      writer.end();
    });
  });
  const [one, two] = received.split('HTTP/1.1 200 OK').slice(1);
  assert.equal(bodyOf(one ?? ''), '1\r\n1\r\n1\r\n1\r\n0\r\n\r\n');
  assert.equal(bodyOf(two ?? ''), '1\r\n2\r\n1\r\n3\r\n2\r\n45\r\n0\r\n\r\n');
});

test('back-pressure waits for a client that does not read, and nothing is written for one that disconnected', async () => {
  const server = createServer();
  await using loopback = await new LoopbackServer(server).listening();
  const client = connect(loopback.port, '127.0.0.1');
  client.pause();
  client.write(request('/'));
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  const writer = new ChunkedWriter(response);
  writer.flushHeaders();
  assert.equal(writer.needsDrain, false);
  const text = 'x'.repeat(8 * 1024 * 1024);
  while (writer.write(text)) await turn();
  assert.equal(writer.needsDrain, true);
  const waiting = drained(response);
  client.resume();
  await waiting;
  assert.equal(writer.needsDrain, false);
  client.destroy();
  await once(response, 'close');
  writer.write('nobody reads this');
});
