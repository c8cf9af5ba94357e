import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { Gateway, until } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

test('the first of two upstreams dies in mid-run: streams with content end in an error, all other requests succeed, and the record shows both attempts', async () => {
  await using first = await StandInModel.start({ reply: 'one two three four five six', wordDelayMs: 400 });
  await using second = await StandInModel.start({ reply: 'one two three four five six', wordDelayMs: 10 });
  await using gateway = await Gateway.start({
    upstreams: [
      { name: 'first', endpoint: first.url, sk: 'key-of-first', allow: ['m'] },
      { name: 'second', endpoint: second.url, sk: 'key-of-second', allow: ['m'] },
    ],
  });
  const chat = (stream: boolean) =>
    gateway.post('/v1/chat/completions', {
      model: 'm',
      stream,
      messages: [{ role: 'user', content: 'count' }],
    });
  const running = await Promise.all(Array.from({ length: 10 }, () => chat(true)));
  const waiting = Array.from({ length: 10 }, () => chat(false));
  await until(() => first.open === 20, 'all of them run', 10_000);
  await first.kill();
  const later = await Promise.all(Array.from({ length: 30 }, (_, index) => chat(index % 2 === 0)));

  for (const response of running) {
    const stream = checkCanonicalStream(await response.text());
    assert.match(stream.choices[0]?.content ?? '', /^one/, 'had content');
    assert.equal(stream.error?.code, 'upstream_disconnected');
    assert.equal((await gateway.rowOf(response.headers.get('x-request-id'))).outcome, 'stream_broken');
  }
  for (const response of later) {
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.doesNotMatch(text, /"error"/);
  }
  for (const response of await Promise.all(waiting)) {
    assert.equal(response.status, 200, await response.text());
    assert.equal(response.headers.get('x-tokenferry-attempts'), '2');
    const row = await gateway.rowOf(response.headers.get('x-request-id'));
    assert.deepEqual(
      row.attempts.map(({ upstream, outcome }) => ({ upstream, outcome })),
      [
        { upstream: 'first', outcome: 'unreachable' },
        { upstream: 'second', outcome: 'ok' },
      ],
    );
  }
});
