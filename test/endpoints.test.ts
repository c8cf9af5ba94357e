import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENDPOINTS, endpointOf } from '../src/endpoints.ts';

test('each path has one row', () => {
  const paths = ENDPOINTS.map(({ path }) => path);
  assert.deepEqual(paths, [...new Set(paths)]);
});

for (const [path, row] of [
  ['/v1/chat/completions', '/v1/chat/completions'],
  ['/v1/chat/completions/chatcmpl-1', '/v1/chat/completions/**'],
  ['/v1/responses', '/v1/responses'],
  ['/v1/responses/resp_1/cancel', '/v1/responses/**'],
  ['/v1/audio/speech', '/v1/audio/speech'],
  ['/v1/audio/anything', '/v1/audio/*'],
  ['/v1/audio/any/thing', '/v1/**'],
  ['/v1/files', '/v1/files'],
  ['/v1/files/f/content', '/v1/files/**'],
  ['/v1/filesx', '/v1/**'],
  ['/v1/models/org/m', '/v1/models/**'],
  ['/v1/whatever', '/v1/**'],
  ['/v1/constructor', '/v1/**'],
] as const) {
  test(`${path} is served by the row of ${row}`, () => {
    assert.equal(endpointOf(path).path, row);
  });
}
