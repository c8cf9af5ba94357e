import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHOWN_REQUESTS, screen } from '../../src/demo/console.ts';
import { sampleRecord } from '../request-log/sample-record.ts';

test('a terminal of 80 x 24 keeps URL, key and the command in sight beside the last requests', () => {
  const demo = {
    url: 'http://127.0.0.1:8888',
    pageUrl: 'http://127.0.0.1:8888/ui/',
    key: 'sk-tokenferry-demo',
    models: ['demo-chat', 'demo-embed'],
  };
  const requests = Array.from({ length: SHOWN_REQUESTS }, (_, index) => sampleRecord({ id: `r${index}` }));
  const lines = screen(demo, undefined, requests, 80);
  const rows = lines.reduce((sum, line) => sum + Math.ceil(Math.max(1, line.length) / 80), 0);
  assert.ok(rows < 24, `${rows} rows`);
  const text = lines.join('\n');
  assert.match(text, /base URL {3}http:\/\/127\.0\.0\.1:8888\/v1/);
  assert.match(text, /API key {4}sk-tokenferry-demo/);
  assert.match(text, /^curl -sN .*"Hello".*\| grep --line-buffered -o '"content":"\[\^"\]\*"'$/m);
  assert.equal(text.match(/ first content after /g)?.length ?? 0, SHOWN_REQUESTS);
});
