import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { test } from 'node:test';
import { ClientAuth, presentedKeys } from '../../../src/http/middleware/client-auth.ts';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import type { ClientIdentity } from '../../../src/routing/routed-request.ts';
import { ANYBODY } from '../../routing/rig.ts';

const KEY = 'sk-client-1';
const KEYS_ONLY = { tokens: null, certificates: null };
const known: ClientIdentity = { ...ANYBODY, name: 'known' };
const anonymous: ClientIdentity = { ...ANYBODY, name: null, keyDigest: null };
const identities = new Map([[hash('sha256', KEY, 'hex'), known]]);
const keyed = new ClientAuth({ ...KEYS_ONLY, identities, anonymous: null });

/** The kind of the refusal and what it says. */
function refusalOf(auth: ClientAuth, headers: IncomingHttpHeaders): FerryError {
  try {
    auth.identify(headers);
  } catch (error) {
    assert.ok(error instanceof FerryError);
    return error;
  }
  assert.fail('it is let in');
}

for (const headers of [
  { authorization: `Bearer ${KEY}` },
  { authorization: `bearer \t ${KEY}  ` },
  { authorization: `BEARER ${KEY}` },
  { authorization: KEY },
  { 'x-api-key': KEY },
  { 'x-api-key': ` ${KEY} ` },
  { 'api-key': KEY },
  { authorization: 'Bearer other', 'x-api-key': KEY },
  { authorization: 'Bearer', 'api-key': KEY },
  { authorization: `Bearer ${KEY}`, 'x-api-key': 'other', 'api-key': 'other' },
]) {
  test(`S12 ${JSON.stringify(headers)} is the key`, () => {
    assert.equal(keyed.identify(headers), known);
  });
}

for (const headers of [
  {},
  { authorization: '' },
  { authorization: 'Bearer' },
  { authorization: 'Bearer ' },
  { authorization: 'Bearer undefined' },
  { authorization: 'Bearer null' },
  { authorization: 'Bearer EMPTY' },
  { authorization: 'Bearer none', 'x-api-key': '', 'api-key': ' ' },
]) {
  test(`S13 ${JSON.stringify(headers)} is no key: refused where one is required, accepted where none is`, () => {
    const { kind, message, shouldRetry } = refusalOf(keyed, headers);
    assert.deepEqual([kind, shouldRetry], ['invalid_api_key', false]);
    assert.match(message, /^Missing API key/);
    const open = new ClientAuth({ ...KEYS_ONLY, identities: new Map(), anonymous });
    assert.equal(open.identify(headers), anonymous);
  });
}

for (const authorization of [
  `Bearer ${KEY}x`,
  `Bearer ${KEY.slice(1)}`,
  `Bearer ${KEY.toUpperCase()}`,
  `Bearer${KEY}`,
  `Basic ${KEY}`,
  `Bearer ${KEY},${KEY}`,
  `Bearer ${hash('sha256', KEY, 'hex')}`,
  'Bearer __proto__',
  `Bearer ${'x'.repeat(60_000)}`,
]) {
  test(`${authorization.slice(0, 60)} is another key, and the error does not repeat it`, () => {
    const { kind, message } = refusalOf(keyed, { authorization });
    assert.equal(kind, 'invalid_api_key');
    assert.match(message, /^Invalid API key/);
    assert.ok(!message.includes(authorization.slice('Bearer '.length)));
  });
}

test('where no key is required a known one still identifies its client, and any other one is anonymous', () => {
  const open = new ClientAuth({ ...KEYS_ONLY, identities, anonymous });
  assert.equal(open.identify({ authorization: `Bearer ${KEY}` }), known);
  assert.equal(open.identify({ authorization: 'Bearer other' }), anonymous);
});

test('of a header that was sent twice the first value counts', () => {
  const twice = { 'x-api-key': [KEY, 'other'] } as unknown as IncomingHttpHeaders;
  assert.deepEqual(presentedKeys(twice), [KEY]);
});
