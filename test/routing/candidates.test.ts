import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';
import { allPaused, isTakeable, takeNext } from '../../src/routing/failover.ts';
import { anyMatcher } from '../../src/routing/glob.ts';
import type { ClientIdentity } from '../../src/routing/routed-request.ts';
import { findCandidates } from '../../src/routing/router.ts';
import type { RoutedUpstream } from '../../src/routing/upstream-state/routed-upstream.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';
import { makeRig } from '../tokens/manager/manager-rig.ts';
import { ANYBODY, newRequest, newUpstream } from './rig.ts';

const named = (upstreams: readonly RoutedUpstream[]): string[] => upstreams.map(({ name }) => name);

/** The names of the candidates in order, or the kind of the refusal. */
function candidatesOf(
  upstreams: readonly RoutedUpstream[],
  facts: Parameters<typeof newRequest>[0] = {},
): string[] | string {
  try {
    return named(findCandidates(upstreams, newRequest(facts), 'order', Math.random));
  } catch (error) {
    assert.ok(error instanceof FerryError);
    return error.kind;
  }
}

test('an upstream is a candidate for the names and paths that it allows, less those that it denies', () => {
  const upstreams = [
    newUpstream('all'),
    newUpstream('gpt', { allow: ['gpt-*'], deny: ['gpt-3*'] }),
    newUpstream('embeddings', { allow: ['/v1/embeddings'] }),
    newUpstream('no-audio', { deny: ['/v1/audio/**'] }),
  ];
  assert.deepEqual(candidatesOf(upstreams, { model: 'gpt-4o' }), ['all', 'gpt', 'no-audio']);
  assert.deepEqual(candidatesOf(upstreams, { model: 'gpt-3.5' }), ['all', 'no-audio']);
  assert.deepEqual(candidatesOf(upstreams, { model: 'bge', path: '/v1/embeddings' }), [
    'all',
    'embeddings',
    'no-audio',
  ]);
  const audio = { model: 'whisper', path: '/v1/audio/transcriptions' };
  assert.deepEqual(candidatesOf(upstreams, audio), ['all']);
});

test('an alias may be a glob: exact names first, then globs in their order, and never a path', () => {
  const aliases = {
    'claude-*': 'corp-chat',
    'claude-*-small*': 'never',
    'claude-haiku': 'corp-small',
    'gpt-?': 'g',
  };
  const upstream = newUpstream('one', { allow: ['corp-small'], aliases });
  for (const [model, own] of [
    ['claude-sonnet-4-5', 'corp-chat'],
    ['claude-haiku', 'corp-small'],
    ['claude-x-small-1', 'corp-chat'],
    ['gpt-4', 'g'],
    ['gpt-4o', 'gpt-4o'],
    ['corp-small', 'corp-small'],
  ] as const)
    assert.equal(upstream.upstreamModel(model), own, model);
  assert.deepEqual(candidatesOf([upstream], { model: 'claude-opus' }), ['one']);
  assert.deepEqual(candidatesOf([upstream], { model: 'corp-small' }), ['one']);
  assert.equal(candidatesOf([upstream], { model: 'corp-chat' }), 'model_not_found');
  assert.equal(
    candidatesOf([newUpstream('two', { aliases, deny: ['claude-opus*'] })], { model: 'claude-opus-5' }),
    'model_not_found',
  );
  assert.deepEqual(upstream.namedModels, ['corp-chat', 'never', 'claude-haiku', 'g', 'corp-small']);
  const all = newUpstream('all', { aliases: { '*': 'corp-chat' } });
  assert.equal(all.upstreamModel('/v1/files'), '/v1/files');
});

test('the error for an unknown model names the nearest one that this client may use', () => {
  const upstreams = [
    newUpstream('chat', { allow: ['qwen3-32b', 'deepseek-r1'] }),
    newUpstream('others', { allow: ['qwen3-32c'], clients: new Set(['somebody-else']) }),
  ];
  const messageFor = (model: string): string => {
    try {
      findCandidates(upstreams, newRequest({ model }), 'order', Math.random);
    } catch (error) {
      return (error as Error).message;
    }
    return '';
  };
  assert.match(messageFor('qwen3-32d'), /does not exist here\. Did you mean "qwen3-32b"\? GET \/v1\/models/);
  // Nearer to a model of an upstream that this client may not use.
  assert.match(messageFor('qwen3-32cc'), /Did you mean "qwen3-32b"\?/);
  assert.match(messageFor('gpt-4o'), /does not exist here\. GET \/v1\/models/);
});

test('what is denied is denied in any spelling of its letters, what is allowed only in its own', () => {
  const upstreams = [
    newUpstream('no-secret', { deny: ['Secret-*', '/v1/Moderations'] }),
    newUpstream('gpt', { allow: ['gpt-4o'] }),
  ];
  for (const model of ['secret-model', 'SECRET-model', 'GPT-4O'])
    assert.deepEqual(
      candidatesOf(upstreams, { model }),
      model === 'GPT-4O' ? ['no-secret'] : 'model_not_found',
    );
  assert.equal(candidatesOf(upstreams, { model: 'm', path: '/v1/MODERATIONS' }), 'model_not_found');
});

test('an alias is admitted by itself, and denied under either of its names', () => {
  const aliases = { 'gpt-4o': 'deploy-17' };
  for (const [settings, isAdmitted] of [
    [{ aliases, allow: ['other'] }, true],
    [{ aliases, allow: ['deploy-17'] }, true],
    [{ aliases, deny: ['deploy-*'] }, false],
    [{ aliases, deny: ['gpt-*'] }, false],
    [{ aliases, deny: ['/v1/chat/completions'] }, false],
    [{ aliases: {}, allow: ['deploy-17'] }, false],
  ] as const) {
    const found = candidatesOf([newUpstream('one', settings)], { model: 'gpt-4o' });
    assert.deepEqual(found, isAdmitted ? ['one'] : 'model_not_found', JSON.stringify(settings));
  }
});

test('a model called like a member of Object is no alias', () => {
  const upstream = newUpstream('one', { allow: ['m'], aliases: { a: 'b' } });
  for (const model of ['__proto__', 'constructor', 'toString'])
    assert.equal(candidatesOf([upstream], { model }), 'model_not_found');
});

test('keys and clients: the global ones, an upstream’s own keys instead, its own clients, or everybody', () => {
  const own = newUpstream('own', { keyDigests: new Set(['digest-1']) });
  const forClients = newUpstream('for-clients', { clients: new Set(['ragflow']) });
  const both = newUpstream('both', { keyDigests: new Set(['digest-1']), clients: new Set(['ragflow']) });
  const open = newUpstream('open', { isOpenToAll: true, keyDigests: new Set(['digest-1']) });
  const global = newUpstream('global');
  const all = [own, forClients, both, open, global];
  const client = (facts: Partial<ClientIdentity>): ClientIdentity => ({
    ...ANYBODY,
    name: null,
    keyDigest: null,
    isGlobal: false,
    ...facts,
  });
  const seenBy = (facts: Partial<ClientIdentity>) => candidatesOf(all, { client: client(facts) });
  assert.deepEqual(seenBy({ keyDigest: 'digest-1' }), ['own', 'both', 'open']);
  assert.deepEqual(seenBy({ name: 'ragflow', keyDigest: 'x', isGlobal: true }), [
    'for-clients',
    'both',
    'open',
    'global',
  ]);
  assert.deepEqual(seenBy({ keyDigest: 'x', isGlobal: true }), ['open', 'global']);
  assert.deepEqual(seenBy({}), ['open']);
});

test('no upstream has the model: 404; only the key is missing: 401 without one, 403 with another', () => {
  const upstream = newUpstream('own', { allow: ['m'], keyDigests: new Set(['digest-1']) });
  const stranger: ClientIdentity = { ...ANYBODY, keyDigest: 'x' };
  assert.equal(candidatesOf([upstream], { model: 'other', client: stranger }), 'model_not_found');
  assert.equal(candidatesOf([upstream], { client: stranger }), 'not_permitted');
  assert.equal(candidatesOf([upstream], { client: { ...stranger, isGlobal: false } }), 'not_permitted');
  const nobody: ClientIdentity = { ...ANYBODY, name: null, keyDigest: null, isGlobal: false };
  assert.equal(candidatesOf([upstream], { client: nobody }), 'invalid_api_key');
});

test('a client that may not use the model or the path is refused, whatever upstreams allow', () => {
  const upstream = newUpstream('one');
  const limited: ClientIdentity = {
    ...ANYBODY,
    mayUseModel: anyMatcher(['gpt-*']),
    mayUsePath: anyMatcher(['/v1/chat/**']),
  };
  assert.deepEqual(candidatesOf([upstream], { client: limited, model: 'gpt-4o' }), ['one']);
  assert.equal(candidatesOf([upstream], { client: limited, model: 'bge' }), 'not_permitted');
  const embeddings = { client: limited, model: 'gpt-4o', path: '/v1/embeddings' };
  assert.equal(candidatesOf([upstream], embeddings), 'not_permitted');
});

test('order keeps the order of the configuration, least_busy tries the one with the fewest requests first', () => {
  const upstreams = ['a', 'b', 'c'].map((name) => newUpstream(name));
  for (const [upstream, taken] of [
    [upstreams[0], 2],
    [upstreams[1], 0],
    [upstreams[2], 1],
  ] as const)
    for (let count = 0; count < taken; count++) upstream?.limiter.tryAcquire();
  const by = (policy: 'order' | 'least_busy') =>
    named(findCandidates(upstreams, newRequest(), policy, Math.random));
  assert.deepEqual(by('order'), ['a', 'b', 'c']);
  assert.deepEqual(by('least_busy'), ['b', 'c', 'a']);
  assert.deepEqual(named(upstreams), ['a', 'b', 'c'], 'the configuration’s own list stays as it is');
});

test('random gives every order the same probability', () => {
  const upstreams = ['a', 'b', 'c'].map((name) => newUpstream(name));
  const seen = new Map<string, number>();
  for (let step = 0; step < 600; step++) {
    const numbers = [(step % 30) / 30, (step % 20) / 20];
    const random = (): number => numbers.shift() ?? 0;
    const order = named(findCandidates(upstreams, newRequest(), 'random', random)).join('');
    seen.set(order, (seen.get(order) ?? 0) + 1);
  }
  assert.deepEqual([...seen.keys()].sort(), ['abc', 'acb', 'bac', 'bca', 'cab', 'cba']);
  for (const [order, count] of seen) assert.ok(count > 40, `${order} ${count}`);
});

/** One upstream of each state, from the best to the worst; the last one is not to be taken at all. */
async function inEveryState(clock: VirtualClock): Promise<RoutedUpstream[]> {
  const tokens = makeRig();
  const tokenless = {
    kind: 'token',
    manager: tokens.manager,
    reject: { statuses: [401], body: [], text: [], html: [], redirect: [], headers: [] },
    maxWaitMs: 1_000,
  } as never;
  const at = { clock, maxConcurrency: 1 };
  const healthy = newUpstream('healthy', at);
  const busy = newUpstream('busy', at);
  busy.limiter.tryAcquire();
  const waiting = newUpstream('without a token', { ...at, credentials: tokenless });
  const waitingBusy = newUpstream('without a token, busy', { ...at, credentials: tokenless });
  waitingBusy.limiter.tryAcquire();
  const cooling = newUpstream('cooling', at);
  cooling.circuit.fail('cools_at_once', false);
  const full = newUpstream('queue full', at);
  full.limiter.tryAcquire();
  const patient = { client: 'c', signal: new AbortController().signal, waitMs: Number.POSITIVE_INFINITY };
  while (!full.limiter.isQueueFull) void full.limiter.acquire(patient);
  const missing = newUpstream('without the model', at);
  missing.pauses.pause('m', 'model_not_found', 60_000);
  const limited = newUpstream('rate limited', at);
  limited.pauses.pause('m', 'rate_limited', 60_000);
  return [healthy, busy, waiting, waitingBusy, cooling, full, missing, limited];
}

test('the best is taken first: healthy, busy, without a token, cooling, queue full, without the model; a pause never', async () => {
  const upstreams = await inEveryState(new VirtualClock());
  const expected = named(upstreams).slice(0, -1);
  for (const left of [[...upstreams], [...upstreams].reverse()]) {
    const taken: string[] = [];
    for (let next = takeNext(left, newRequest()); next !== null; next = takeNext(left, newRequest()))
      taken.push(next.name);
    assert.deepEqual(taken, expected);
    assert.deepEqual(named(left), ['rate limited']);
  }
  assert.deepEqual(
    upstreams.map((upstream) => isTakeable(upstream, newRequest())),
    [true, true, true, true, true, true, true, false],
  );
  assert.ok(
    upstreams.every((upstream) => isTakeable(upstream, newRequest({ model: 'other' }))),
    'pauses are of one model',
  );
});

test('of equals the first is taken, and a pause of the alias’s own name counts', () => {
  const first = newUpstream('first', { aliases: { m: 'deploy' } });
  const second = newUpstream('second');
  assert.equal(takeNext([first, second], newRequest())?.name, 'first');
  first.pauses.pause('deploy', 'rate_limited', 1_000);
  assert.equal(takeNext([first, second], newRequest())?.name, 'second');
});

test('all paused: 429 with the shortest wait; a quota when all are out of quota', async () => {
  const clock = new VirtualClock();
  const [a, b] = [newUpstream('a', { clock }), newUpstream('b', { clock })];
  a.pauses.pause('m', 'rate_limited', 9_000);
  b.pauses.pause('m', 'quota_exhausted', 5_000);
  await clock.advance(1_000);
  const both = allPaused([a, b], newRequest());
  assert.deepEqual([both.kind, both.retryAfterMs], ['rate_limited', 4_000]);
  const quota = allPaused([b], newRequest());
  assert.deepEqual([quota.kind, quota.retryAfterMs, quota.shouldRetry], ['quota_exhausted', 4_000, false]);
  const none = allPaused([], newRequest());
  assert.deepEqual([none.kind, none.retryAfterMs], ['rate_limited', 1_000]);
  assert.ok(allPaused([a], newRequest({ model: 'x'.repeat(5_000) })).message.length < 400);
});
