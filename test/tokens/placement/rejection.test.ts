import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isTokenRejection, type RejectionRules } from '../../../src/tokens/placement/rejection.ts';

/** As the configuration has it by default. */
const ONLY_401: RejectionRules = { statuses: [401], body: [] };

const withBody = (path: string, equals: RejectionRules['body'][number]['equals']): RejectionRules => ({
  statuses: [],
  body: [{ path, equals }],
});

test('by default 401 rejects the token, 403 does not, and 407 never does', () => {
  assert.equal(isTokenRejection(401, null, null, ONLY_401), true);
  assert.equal(isTokenRejection(403, null, null, ONLY_401), false);
  assert.equal(isTokenRejection(200, null, null, ONLY_401), false);
  assert.equal(isTokenRejection(407, null, null, { statuses: [407], body: [] }), false);
  assert.equal(isTokenRejection(407, 'Bearer error="invalid_token"', null, ONLY_401), false);
});

test('#33 a 403 rejects the token when the rules say so', () => {
  assert.equal(isTokenRejection(403, null, null, { statuses: [401, 403], body: [] }), true);
});

test('WWW-Authenticate with invalid_token rejects the token on any status', () => {
  for (const header of [
    'Bearer realm="x", error="invalid_token", error_description="expired"',
    'Bearer error=invalid_token',
    'bearer ERROR = "invalid_token"',
  ]) {
    assert.equal(isTokenRejection(403, header, null, ONLY_401), true, header);
  }
  for (const header of ['Bearer error="insufficient_scope"', 'Bearer realm="error"', 'Basic']) {
    assert.equal(isTokenRejection(403, header, null, ONLY_401), false, header);
  }
});

test('#33 a body matcher finds a rejection in a 200, as number or text', () => {
  const rules = withBody('/error_code', [110, 111]);
  assert.equal(isTokenRejection(200, null, '{"error_code":110}', rules), true);
  assert.equal(isTokenRejection(200, null, '{"error_code":"111"}', rules), true);
  assert.equal(isTokenRejection(200, null, '{"error_code":112}', rules), false);
  assert.equal(isTokenRejection(200, null, '{"error":110}', rules), false);
  assert.equal(isTokenRejection(200, null, null, rules), false);
  assert.equal(isTokenRejection(200, null, 'not JSON', rules), false);
});

test('#33 a body matcher reads the first event of a stream', () => {
  const rules = withBody('/error/code', ['token_expired']);
  const event = 'id: 1\nevent: error\ndata: {"error":\ndata: {"code":"token_expired"}}\n\ndata: {}\n\n';
  assert.equal(isTokenRejection(200, null, event, rules), true);
  assert.equal(isTokenRejection(200, null, 'data:{"error":{"code":"token_expired"}}', rules), true);
  assert.equal(
    isTokenRejection(200, null, ': hello\n\ndata: {"error":{"code":"token_expired"}}\n\n', rules),
    true,
  );
  assert.equal(
    isTokenRejection(200, null, 'data: {}\n\ndata: {"error":{"code":"token_expired"}}\n\n', rules),
    false,
  );
});

test('a body matcher follows JSON pointers with escapes and indexes, and matches scalars only', () => {
  assert.equal(isTokenRejection(200, null, '{"a/b":{"c~d":[0,"x"]}}', withBody('/a~1b/c~0d/1', ['x'])), true);
  assert.equal(isTokenRejection(200, null, '"expired"', withBody('', ['expired'])), true);
  assert.equal(isTokenRejection(200, null, '{"a":null}', withBody('/a', [null])), true);
  assert.equal(isTokenRejection(200, null, '{"a":{}}', withBody('/a', ['[object Object]'])), false);
  assert.equal(isTokenRejection(200, null, '{}', withBody('/constructor', ['x'])), false);
  assert.equal(isTokenRejection(200, null, '{"a":1}', withBody('/a/b', [1])), false);
});

test('a body of more than 16 KiB is not parsed', () => {
  const long = JSON.stringify({ error_code: 110, text: 'x'.repeat(17_000) });
  assert.equal(isTokenRejection(200, null, long, withBody('/error_code', [110])), false);
});
