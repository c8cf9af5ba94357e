import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  isTokenRejection as isRejection,
  type RejectionRules,
} from '../../../src/tokens/placement/rejection.ts';

const NO_RULES: RejectionRules = { statuses: [], body: [], text: [], html: [], redirect: [], headers: [] };

function isTokenRejection(
  status: number,
  challenge: string | null,
  bodyText: string | null,
  rules: Partial<RejectionRules>,
): boolean {
  const header = (name: string): string | null => (name === 'www-authenticate' ? challenge : null);
  return isRejection({ status, header, bodyText }, { ...NO_RULES, ...rules });
}

/** As the configuration has it by default. */
const ONLY_401: Partial<RejectionRules> = { statuses: [401] };

const withBody = (
  path: string,
  equals: RejectionRules['body'][number]['equals'],
): Partial<RejectionRules> => ({
  body: [{ path, equals }],
});

test('by default 401 rejects the token, 403 does not, and 407 only where it is configured', () => {
  assert.equal(isTokenRejection(401, null, null, ONLY_401), true);
  assert.equal(isTokenRejection(403, null, null, ONLY_401), false);
  assert.equal(isTokenRejection(200, null, null, ONLY_401), false);
  assert.equal(isTokenRejection(407, null, null, { statuses: [407] }), true);
  assert.equal(isTokenRejection(407, null, null, ONLY_401), false);
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

test('a page counts with a status of success only, and behind comments and declarations too', () => {
  const rules = { html: [/sign in/i] };
  const page = '<!-- v1 -->\n<!DOCTYPE html><title>Sign in</title>';
  assert.equal(isTokenRejection(200, null, page, rules), true);
  assert.equal(isTokenRejection(502, null, page, rules), false);
  assert.equal(isTokenRejection(200, null, '<title>Home</title>', rules), false);
  assert.equal(isTokenRejection(200, null, '<Error><Code>Sign in</Code></Error>', rules), false);
  assert.equal(isTokenRejection(200, null, '{"html":"<html>Sign in</html>"}', rules), false);
});

test('text is found with any status and in the first event, but not in results', () => {
  const rules = { text: [/session expired/i] };
  for (const [status, body, expected] of [
    [500, 'Session expired', true],
    [403, '{"data":[1],"note":"Session expired"}', true],
    [200, '{"code":1,"msg":"Session expired"}', true],
    [200, '{"error":{"message":"Session expired"},"choices":[{}]}', true],
    [200, 'data: {"msg":"Session expired"}\n\n', true],
    [200, '{"choices":[{"message":{"content":"Session expired"}}]}', false],
    [200, 'data: {"choices":[{"delta":{"content":"Session expired"}}]}\n\n', false],
    [200, '{"type":"message_start","message":{"id":"Session expired"}}', false],
    [200, `{"note":"Session expired","text":"${'x'.repeat(20_000)}"}`, false],
    [200, `${' '.repeat(70_000)}Session expired`, false],
  ] as const) {
    assert.equal(isTokenRejection(status, null, body, rules), expected, `${status} ${body.slice(0, 60)}`);
  }
});

test('a redirect counts by its address, and only with a status of a redirect', () => {
  const at = (status: number, location: string | null) =>
    isRejection(
      { status, header: (name) => (name === 'location' ? location : null), bodyText: null },
      { ...NO_RULES, redirect: [/\/login/i] },
    );
  assert.equal(at(302, 'https://sso.corp.example/Login?back=%2F'), true);
  assert.equal(at(308, '/v1/chat/completions/'), false);
  assert.equal(at(302, null), false);
  assert.equal(at(201, '/login'), false);
});
