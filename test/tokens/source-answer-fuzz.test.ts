import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecretRegistry } from '../../src/lib/secret.ts';
import type { IssuerReply } from '../../src/tokens/issuer/issuer-client.ts';
import { readAnswer } from '../../src/tokens/issuer/issuer-response.ts';
import { checkSuccess } from '../../src/tokens/sources/http/http-success.ts';
import { compileTokenLocation } from '../../src/tokens/sources/http/token-location.ts';
import { readOAuth2Answer } from '../../src/tokens/sources/oauth2/oauth2-response.ts';
import { SourceVoice } from '../../src/tokens/sources/source-errors.ts';
import { TokenSourceError } from '../../src/tokens/sources/token-source.ts';
import { randomFrom } from '../helpers/seeded-random.ts';

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

function anyReply(): IssuerReply {
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

const READERS: readonly [string, (voice: SourceVoice, reply: IssuerReply) => unknown][] = [
  ['oauth2', (voice, reply) => readOAuth2Answer(voice, reply, 'access_token', undefined)],
  [
    'http, success',
    (voice, reply) =>
      checkSuccess(voice, { json: { '/code': 0, '/data/code': ['a', null] } }, reply, readAnswer(reply)),
  ],
  ...['/data/token', 'body', 'header:X-Token', 'cookie:SSO', 'form:token', 'regex:never(.*)'].map(
    (tokenAt): [string, (voice: SourceVoice, reply: IssuerReply) => unknown] => [
      `http, token_at ${tokenAt}`,
      (voice, reply) => compileTokenLocation(voice, tokenAt)(reply, readAnswer(reply)),
    ],
  ),
];

for (const [name, read] of READERS) {
  test(`#7 whatever an issuer answers, ${name} gives a value or an error without the token in it`, () => {
    const voice = new SourceVoice('corp', new SecretRegistry());
    for (let round = 0; round < 2000; round++) {
      const reply = anyReply();
      try {
        read(voice, reply);
      } catch (error) {
        assert.ok(error instanceof TokenSourceError, String(error));
        for (const piece of [TOKEN, ...TOKEN.split('.')]) {
          assert.ok(!error.message.includes(piece), `${error.message} for ${reply.body}`);
        }
        assert.ok(error.message.length < 900, error.message);
      }
    }
  });
}
