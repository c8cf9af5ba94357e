import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import type { AdminEvents } from '../../src/admin/api-types.ts';
import { EventReader } from '../../src/admin/live/event-reader.ts';
import { LiveFeed } from '../../src/admin/live/live-feed.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { ask } from '../behaviour/fault-rig.ts';
import { Gateway, until } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { sampleRecord } from '../request-log/sample-record.ts';

/** What one reader of live events has got. */
class Reader {
  text = '';
  readonly #response: IncomingMessage;

  private constructor(response: IncomingMessage) {
    this.#response = response;
    response.setEncoding('utf8').on('data', (text: string) => {
      this.text += text;
    });
  }

  static async open(url: string): Promise<Reader> {
    const [response] = (await once(get(url), 'response')) as [IncomingMessage];
    assert.equal(response.headers['content-type'], 'text/event-stream; charset=utf-8');
    return new Reader(response);
  }

  of<Name extends keyof AdminEvents>(name: Name): AdminEvents[Name][] {
    return [...this.text.matchAll(/^event: (\w+)\ndata: (.*)\n\n/gm)]
      .filter(([, found]) => found === name)
      .map(([, , data = '']) => JSON.parse(data) as AdminEvents[Name]);
  }

  close(): void {
    this.#response.destroy();
  }
}

test('requests, tokens, upstreams and reloads are events while they happen', async (t) => {
  const issuer = await ScriptedIssuer.start({});
  t.after(() => issuer.close());
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'chat', endpoint: model.url, token: 'corp' }],
  });
  const reader = await Reader.open(`${gateway.url}/admin/events`);
  await until(() => reader.of('tick').length === 1, 'the first tick');
  await ask(gateway, 'chat', 'm');
  await until(() => reader.of('request').length === 1, 'the request');
  const [request] = reader.of('request');
  assert.deepEqual([request?.model, request?.upstream, request?.outcome], ['m', 'chat', 'ok']);
  const act = (path: string) => gateway.post(path, {}).then((response) => response.text());
  await act('/admin/tokens/corp/refresh');
  const isManual = ({ kind, reason }: AdminEvents['token']): boolean =>
    kind === 'acquired' && reason === 'manual';
  await until(() => reader.of('token').some(isManual), 'the renewal');
  await act('/admin/upstreams/chat/pause');
  await until(() => reader.of('upstream').length === 1, 'the pause');
  assert.equal(reader.of('upstream')[0]?.state, 'paused');
  await act('/admin/reload');
  await until(() => reader.of('reload').length === 1, 'the reload');
  assert.ok(reader.of('reload')[0]?.is_ok);
  reader.close();
});

/** A feed on a server of its own. */
async function feedServer(): Promise<{
  feed: LiveFeed;
  port: number;
  responses: ServerResponse[];
  close(): Promise<void>;
}> {
  const feed = new LiveFeed({ clock: systemClock, follow: () => () => undefined, inFlight: () => 0 });
  const responses: ServerResponse[] = [];
  const server = createServer((_request, response) => {
    responses.push(response);
    if (!feed.add(new EventReader(response, systemClock))) response.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    feed.close();
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  };
  return { feed, port: (server.address() as AddressInfo).port, responses, close };
}

test('of thousands of requests a second fifty are sent, and the others counted', async () => {
  const { feed, port, close } = await feedServer();
  const reader = await Reader.open(`http://127.0.0.1:${port}/`);
  await until(() => reader.of('tick').length === 1, 'the first tick');
  feed.acceptRecords(Array.from({ length: 5_000 }, (_, index) => sampleRecord({ id: `r${index}` })));
  await until(() => reader.of('request').length >= 50, 'the requests');
  // A second may begin within the batch.
  assert.ok(reader.of('request').length <= 100);
  assert.equal(feed.recent(60).requests, 5_000);
  reader.close();
  await close();
});

test('a reader that does not read is disconnected, and the others go on', async () => {
  const { feed, port, responses, close } = await feedServer();
  const stuck = connect(port, '127.0.0.1');
  stuck.on('error', () => undefined);
  stuck.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  stuck.pause();
  await until(() => responses.length === 1, 'the stuck reader');
  const reader = await Reader.open(`http://127.0.0.1:${port}/`);
  const message = 'x'.repeat(60_000);
  const [first] = responses;
  await until(() => {
    feed.send('reload', { at_ms: 0, is_ok: true, message, changed: [], needs_restart: [] });
    return first?.destroyed === true;
  }, 'the end of the stuck reader');
  feed.send('reload', { at_ms: 1, is_ok: true, message: 'the last', changed: [], needs_restart: [] });
  await until(() => reader.text.includes('the last'), 'the other reader');
  reader.close();
  stuck.destroy();
  await close();
});
