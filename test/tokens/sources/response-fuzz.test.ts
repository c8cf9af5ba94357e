import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretRegistry } from '../../../src/lib/secret.ts';
import type { IssuerResponse } from '../../../src/tokens/issuer/issuer-client.ts';
import { parseBody } from '../../../src/tokens/issuer/issuer-response.ts';
import { checkSuccess, compileTokenLocation } from '../../../src/tokens/sources/http-response.ts';
import { parseTokenResponse } from '../../../src/tokens/sources/oauth2-source.ts';
import { SourceErrors } from '../../../src/tokens/sources/source-errors.ts';
import { TokenSourceError } from '../../../src/tokens/sources/token-source.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';

/** Looks like what issuers hand out, and is nowhere registered as a secret: nothing but care keeps it out. */
const TOKEN = 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJtZSJ9.Zm9vYmFy0123456789';

const random = randomFrom(43);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
const NAMES = [
  'access_token',
  'error',
  'code',
  'msg',
  'message',
  'data',
  'expires_in',
  'error_description',
  TOKEN,
  '',
];

function anyJson(depth: number): unknown {
  const leaf = [
    TOKEN,
    `prefix ${TOKEN}`,
    `${TOKEN}\n`,
    0,
    -1,
    300,
    1e300,
    null,
    true,
    '',
    'invalid_client',
    '<html>',
  ];
  if (depth === 0 || random() < 0.4) return pick(leaf);
  if (random() < 0.2) return Array.from({ length: 3 }, () => anyJson(depth - 1));
  return Object.fromEntries(Array.from({ length: 4 }, () => [pick(NAMES), anyJson(depth - 1)]));
}

function anyResponse(): IssuerResponse {
  const text = JSON.stringify(anyJson(3));
  const shapes = [
    text,
    text,
    text,
    text.slice(0, -2),
    TOKEN,
    `access_token=${TOKEN}`,
    `<html>${TOKEN}`,
    '',
    `\u0000${TOKEN}`,
  ];
  const types = [
    'application/json',
    'text/html',
    'text/plain',
    'application/x-www-form-urlencoded',
    undefined,
    `x/${TOKEN}`,
  ];
  return {
    status: pick([200, 200, 200, 201, 204, 302, 400, 401, 403, 429, 500]),
    headers: { 'content-type': pick(types), 'retry-after': pick([undefined, '5', '-1', TOKEN]) },
    body: pick(shapes),
    sentWallMs: 0,
    receivedWallMs: 1,
  };
}

const PARSERS: readonly [string, (errors: SourceErrors, response: IssuerResponse) => unknown][] = [
  ['oauth2', (errors, response) => parseTokenResponse(errors, response, 'access_token', undefined)],
  [
    'http, success',
    (errors, response) =>
      checkSuccess(
        errors,
        { json: { '/code': 0, '/data/code': ['a', null] } },
        response,
        parseBody(response),
      ),
  ],
  ...['/data/token', 'body', 'header:X-Token', 'cookie:SSO', 'form:token', 'regex:never(.*)'].map(
    (tokenAt): [string, (errors: SourceErrors, response: IssuerResponse) => unknown] => [
      `http, token_at ${tokenAt}`,
      (errors, response) => compileTokenLocation(errors, tokenAt)(response, parseBody(response)),
    ],
  ),
];

for (const [name, parse] of PARSERS) {
  test(`#7 for any response of an issuer ${name} gives a value or an error without the token in it`, () => {
    const errors = new SourceErrors('corp', new SecretRegistry());
    for (let round = 0; round < 2000; round++) {
      const response = anyResponse();
      try {
        parse(errors, response);
      } catch (error) {
        assert.ok(error instanceof TokenSourceError, String(error));
        for (const piece of [TOKEN, ...TOKEN.split('.')]) {
          assert.ok(!error.message.includes(piece), `${error.message} for ${response.body}`);
        }
        assert.ok(error.message.length < 900, error.message);
      }
    }
  });
}
