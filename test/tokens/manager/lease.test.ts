import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type OutgoingRequest,
  type Placement,
  PlacementError,
  preparePlacements,
} from '../../../src/tokens/placement/placement.ts';
import { makeRig } from './manager-rig.ts';

/** What `request` looks like after the token `T-1` (or another) was placed. */
async function placed(
  placements: readonly Placement[],
  request: Partial<OutgoingRequest>,
  raw: { value: string; extra?: Record<string, string> } = { value: 'T-1' },
): Promise<OutgoingRequest> {
  const rig = makeRig({
    usual: { delayMs: 0, raw: { ...raw, lifetimeMs: 300_000 } },
    settings: { placements },
  });
  const get = rig.manager.get();
  await rig.clock.advance(0);
  const outgoing: OutgoingRequest = { path: '/v1/chat', headers: [], body: null, isJson: false, ...request };
  const lease = await get;
  try {
    lease.apply(outgoing);
    // A replay applies a lease to the same request once more: nothing may pile up.
    lease.apply(outgoing);
  } finally {
    await rig.manager.stop();
  }
  return outgoing;
}

test('by default the token is the Bearer credential', async () => {
  const rig = makeRig();
  await rig.start();
  const request: OutgoingRequest = {
    path: '/v1/chat',
    headers: ['accept', '*/*'],
    body: null,
    isJson: false,
  };
  rig.manager.peek()?.apply(request);
  assert.deepEqual(request.headers, ['accept', '*/*', 'authorization', 'Bearer token-1-secret']);
});

test('a header placement replaces the header of that name, however often it is there', async () => {
  const again = ['x-auth-token', 'again', 'x-auth-token', 'and again'];
  const headers = ['x-auth-token', 'client', 'accept', '*/*', ...again];
  const request = await placed([{ header: 'X-Auth-Token' }], { headers });
  assert.deepEqual(request.headers, ['x-auth-token', 'T-1', 'accept', '*/*']);
});

test('repetitions of a header beside each other are all taken out at once', () => {
  const headers = ['x-token', 'a', 'x-token', 'b', 'x-token', 'c', 'x-token', 'd', 'accept', '*/*'];
  preparePlacements(
    [{ header: 'X-Token' }],
    'T-1',
  )({
    path: '/',
    headers,
    body: null,
    isJson: false,
  });
  assert.deepEqual(headers, ['x-token', 'T-1', 'accept', '*/*']);
});

test('a query placement is URL-encoded and leaves the rest of the query byte for byte', async () => {
  const placements = [{ query: 'access_token' }];
  const value = { value: 'a+b/c=&d' };
  assert.equal(
    (await placed(placements, { path: '/v1/chat' }, value)).path,
    '/v1/chat?access_token=a%2Bb%2Fc%3D%26d',
  );
  assert.equal(
    (await placed(placements, { path: '/v1/chat?api-version=2024%2d10&x' }, value)).path,
    '/v1/chat?api-version=2024%2d10&x&access_token=a%2Bb%2Fc%3D%26d',
  );
});

test('a query placement replaces what the client sent under that name, encoded or not', async () => {
  const path = '/v1/chat?access_token=mine&a=1&access%5Ftoken=mine&%zz=2';
  assert.equal(
    (await placed([{ query: 'access_token' }], { path })).path,
    '/v1/chat?a=1&%zz=2&access_token=T-1',
  );
  assert.equal((await placed([{ query: 'a' }], { path: '/x?' })).path, '/x?a=T-1');
});

test('a cookie placement is appended to the cookies that are there and replaces its own', async () => {
  const none = await placed([{ cookie: 'SSO' }], {});
  assert.deepEqual(none.headers, ['cookie', 'SSO=T-1']);
  const some = await placed([{ cookie: 'SSO' }], {
    headers: ['cookie', 'a=1; SSO=old; b=2', 'cookie', 'c=3'],
  });
  assert.deepEqual(some.headers, ['cookie', 'a=1; b=2; c=3; SSO=T-1']);
});

test('a cookie value with signs that end cookies is percent-encoded', async () => {
  const request = await placed([{ cookie: 'SSO' }], {}, { value: 'a;b,c"d' });
  assert.deepEqual(request.headers, ['cookie', 'SSO=a%3Bb%2Cc%22d']);
});

test('several placements at once, one of them with another value of the response', async () => {
  const placements = [
    { header: 'Authorization', prefix: 'Bearer ' },
    { header: 'AI-Resource-Group', extra: 'group' },
    { header: 'X-Absent', extra: 'absent' },
    { query: 'api-token' },
  ];
  const request = await placed(placements, {}, { value: 'T-1', extra: { group: 'g-7' } });
  assert.deepEqual(request.headers, ['authorization', 'Bearer T-1', 'ai-resource-group', 'g-7']);
  assert.equal(request.path, '/v1/chat?api-token=T-1');
});

const BODY = [{ body: 'access_token' }];

for (const [title, before, after] of [
  ['an object', '{"a":1}', '{"access_token":"T-1","a":1}'],
  ['an empty object', '{}', '{"access_token":"T-1"}'],
  ['an empty object with blanks', ' { \n} ', ' {"access_token":"T-1" \n} '],
  [
    'numbers that JavaScript cannot hold',
    '{ "n": 12345678901234567890, "t": 1.0 }',
    '{"access_token":"T-1", "n": 12345678901234567890, "t": 1.0 }',
  ],
  ['the member itself', '{"access_token": "client", "a": 1}', '{"access_token": "T-1", "a": 1}'],
  ['the member itself as a number at the end', '{"a":1,"access_token":17}', '{"a":1,"access_token":"T-1"}'],
  ['the member itself as an object', '{"access_token":{"x":["}",{}]},"a":1}', '{"access_token":"T-1","a":1}'],
  [
    'the member twice',
    '{"access_token":null,"access_token":true}',
    '{"access_token":"T-1","access_token":"T-1"}',
  ],
  ['the member with an escape in its name', '{"access\\u005ftoken":1}', '{"access\\u005ftoken":"T-1"}'],
  [
    'the same name deeper down and in strings',
    '{"a":{"access_token":1},"b":"\\"access_token\\":{","c":["access_token"]}',
    '{"access_token":"T-1","a":{"access_token":1},"b":"\\"access_token\\":{","c":["access_token"]}',
  ],
  ['text beyond ASCII', '{"m":"héllo 😀 {"}', '{"access_token":"T-1","m":"héllo 😀 {"}'],
  ['names beyond ASCII', '{"clé":1,"access_token":2}', '{"clé":1,"access_token":"T-1"}'],
] as const) {
  test(`a body placement sets a top-level member by splicing text: ${title}`, async () => {
    const fromString = await placed(BODY, { body: before, isJson: true });
    assert.equal(String(fromString.body), after);
    const fromBytes = await placed(BODY, { body: Buffer.from(before), isJson: true });
    assert.equal(String(fromBytes.body), after);
    JSON.parse(String(fromBytes.body));
  });
}

test('a body placement finds its member by a name beyond ASCII, written out or escaped', async () => {
  for (const [before, after] of [
    ['{"clé":1,"a":2}', '{"clé":"T-1","a":2}'],
    ['{"cl\\u00e9":1,"a":2}', '{"cl\\u00e9":"T-1","a":2}'],
    ['{"a":2}', '{"clé":"T-1","a":2}'],
  ] as const) {
    const { body } = await placed([{ body: 'clé' }], { body: before, isJson: true });
    assert.equal(String(body), after);
  }
});

test('a body placement steps over a byte order mark', async () => {
  const { body } = await placed(BODY, { body: '\ufeff{"a":1}', isJson: true });
  assert.equal(String(body), '\ufeff{"access_token":"T-1","a":1}');
});

test('a body placement keeps content-length true', async () => {
  const request = await placed(BODY, { body: '{"a":"é"}', isJson: true, headers: ['content-length', '10'] });
  assert.deepEqual(request.headers, ['content-length', String(Buffer.byteLength(String(request.body)))]);
});

for (const [title, request] of [
  ['no body', { body: null, isJson: true }],
  ['a body that is no JSON', { body: '{"a":1}', isJson: false }],
  ['an array', { body: '[1]', isJson: true }],
  ['a cut object', { body: '{"a":1', isJson: true }],
  ['a cut string', { body: '{"a":"1', isJson: true }],
  ['a cut name', { body: '{"a', isJson: true }],
  ['an object without commas', { body: '{"a":1 "b":2}', isJson: true }],
  ['an object with a wrong comma', { body: '{"a":[];"b":2}', isJson: true }],
  ['an object with a wrong colon', { body: '{"a";1}', isJson: true }],
  ['an object without a value', { body: '{"a":}', isJson: true }],
  ['an object without a colon', { body: '{"a" 1}', isJson: true }],
  ['a bare word', { body: '{a:1}', isJson: true }],
  ['nothing', { body: '', isJson: true }],
] as const) {
  test(`a body placement on ${title} is an error without the token, and nothing goes out without one`, async () => {
    await assert.rejects(placed(BODY, request, { value: 'SECRET-1' }), (error) => {
      assert.ok(error instanceof PlacementError);
      assert.doesNotMatch(error.message, /SECRET/);
      return true;
    });
  });
}

test('a body placement that finds no place beside one that does is left out', async () => {
  const request = await placed([...BODY, { header: 'x-token' }], { body: null });
  assert.deepEqual([request.headers, request.body], [['x-token', 'T-1'], null]);
});
