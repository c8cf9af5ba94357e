import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AwsSigV4 } from '../../../src/upstream/signing/aws-sigv4.ts';
import { headerOf, type SignableRequest } from '../../../src/upstream/signing/request-signer.ts';

/** Of AWS's published test suite for Signature Version 4. */
const CREDENTIALS = { keyId: 'AKIDEXAMPLE', key: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const NOW = Date.UTC(2015, 7, 30, 12, 36, 0);

function request(facts: Partial<SignableRequest> & { headers?: string[] }): SignableRequest {
  return {
    method: 'GET',
    host: 'example.amazonaws.com',
    path: '/',
    headers: [],
    body: null,
    isJson: false,
    ...facts,
  };
}

async function signatureOf(signable: SignableRequest): Promise<string> {
  const signer = new AwsSigV4({ region: 'us-east-1', service: 'service', credentials: CREDENTIALS });
  await signer.sign(signable, { nowWallMs: NOW, values: {} });
  const authorization = headerOf(signable.headers, 'authorization') ?? '';
  return /Signature=([0-9a-f]{64})$/.exec(authorization)?.[1] ?? authorization;
}

for (const [name, facts, expected] of [
  ['get-vanilla', {}, '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31'],
  ['post-vanilla', { method: 'POST' }, '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b'],
  [
    'get-vanilla-query-order-key-case',
    { path: '/?Param2=value2&Param1=value1' },
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  ],
  [
    'post-x-www-form-urlencoded',
    {
      method: 'POST',
      headers: ['content-type', 'application/x-www-form-urlencoded'],
      body: 'Param1=value1',
    },
    'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  ],
] as const) {
  test(`the published test vector ${name}`, async () => {
    const { headers = [], ...rest } = facts as Partial<SignableRequest>;
    assert.equal(await signatureOf(request({ ...rest, headers: [...headers] })), expected);
  });
}

test('the scope, the date and the signed headers are stated; what a proxy may change is not signed', async () => {
  const signable = request({
    method: 'POST',
    headers: [
      'accept',
      '*/*',
      'content-type',
      'application/json',
      'x-amz-custom',
      'a',
      'authorization',
      'old',
    ],
    body: '{}',
  });
  await signatureOf(signable);
  const { headers } = signable;
  assert.equal(headerOf(headers, 'x-amz-date'), '20150830T123600Z');
  assert.match(
    headerOf(headers, 'authorization') ?? '',
    /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20150830\/us-east-1\/service\/aws4_request, SignedHeaders=content-type;host;x-amz-custom;x-amz-date, Signature=/,
  );
  assert.equal(headerOf(headers, 'accept'), '*/*');
  assert.equal(headers.filter((name) => name === 'authorization').length, 1);
});

test('temporary credentials come from a token source: names in extra, and its token as the session token', async () => {
  const signer = new AwsSigV4({ region: 'us-east-1', service: 'service', credentials: {} });
  const signable = request({});
  const values = { key_id: CREDENTIALS.keyId, key: CREDENTIALS.key, token: 'session-token' };
  await signer.sign(signable, { nowWallMs: NOW, values });
  assert.equal(headerOf(signable.headers, 'x-amz-security-token'), 'session-token');
  const alone = request({});
  await new AwsSigV4({
    region: 'us-east-1',
    service: 'service',
    credentials: { keyId: CREDENTIALS.keyId },
  }).sign(alone, { nowWallMs: NOW, values: { token: CREDENTIALS.key } });
  assert.equal(headerOf(alone.headers, 'x-amz-security-token'), undefined);
  assert.match(
    headerOf(alone.headers, 'authorization') ?? '',
    /5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31$/,
  );
  await assert.rejects(signer.sign(request({}), { nowWallMs: NOW, values: { token: 'x' } }), /no key_id/);
});
