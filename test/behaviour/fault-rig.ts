import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCanonicalReply, checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { errorIn, Gateway, type StoredRow } from '../helpers/gateway.ts';
import { type RawScript, RawUpstream } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

/** The three ways of asking for which every row of docs/failover.md holds. */
export const KINDS = ['chat', 'stream', 'embeddings'] as const;
export type Kind = (typeof KINDS)[number];

/** What one row of the fault table promises. */
export interface Outcome {
  /** The status and code that the client gets when nothing is left to try. */
  readonly status: number;
  readonly code: string | null;
  readonly type?: string;
  readonly says?: RegExp;
  /** `x-should-retry`; null: absent. */
  readonly shouldRetry?: 'true' | 'false' | null;
  /** Seconds within which `retry-after` must lie; absent: no such header. */
  readonly retryAfter?: readonly [number, number];
  /** How the failed attempt is recorded, and the upstream's status in it. */
  readonly attempt: string;
  readonly upstreamStatus: number | null;
  /** The record's outcome when nothing is left. */
  readonly outcome?: string;
  /** Attempts at the only candidate; 1 unless the row says that it is tried again. */
  readonly attemptsAlone?: number;
  /** False: the client's own fault, so that the next candidate is not asked. */
  readonly nextCandidate?: boolean;
  /** How the failure counts against the upstream. */
  readonly counts: 'no' | 'yes' | 'yes_for_chat' | 'cools_at_once';
  /** The longest time from the request to the answer in milliseconds, without slack. */
  readonly withinMs: number | ((kind: Kind, isAlone: boolean) => number);
}

export interface Fault {
  /** Where the bad upstream is; by default a raw one that runs `script`. */
  readonly endpoint?: string;
  readonly script?: (kind: Kind) => RawScript;
  readonly kinds?: readonly Kind[];
  /** Of the bad upstreams, over `sk`. */
  readonly upstream?: object;
  /** Of the whole configuration. */
  readonly config?: object;
}

/** For rows that are not about time: far beyond what a busy machine needs. */
export const LIMITS = { connect_timeout: '1s', deadline: '60s', retry: { backoff: '20ms' } };

/** For rows about time: small enough for a suite, far enough apart to tell which one ended an attempt. */
export const TIGHT_LIMITS = {
  ...LIMITS,
  timeout: '2500ms',
  stream_timeout: '900ms',
  first_content_timeout: '900ms',
  embeddings_timeout: '1500ms',
  idle_timeout: '1500ms',
};

const BAD_KEY = 'key-of-the-bad-one';

/** Slack for a busy machine, on top of the configured limit that bounds a row. */
export const SLACK_MS = 6_000;

/**
 * Tests one row for every kind of request: with the faulty upstream alone the client gets what the table says; with
 * a healthy one behind it the client gets a good answer, unless the fault is the client's own. Both check the attempts
 * header, the record, the time and whether the upstream cools down.
 */
export function testFault(what: string, fault: Fault, outcome: Outcome): void {
  const kinds = fault.kinds ?? KINDS;
  const isNext = outcome.nextCandidate !== false;
  test(what, { concurrency: true }, async (context) => {
    const stage = await Stage.open(kinds, fault);
    try {
      await Promise.all(
        kinds.flatMap((kind) => [
          context.test(`${kind}, nothing left: ${outcome.status} ${outcome.code}`, () =>
            checkAlone(stage.gateway, kind, outcome),
          ),
          context.test(`${kind}, another upstream: it is ${isNext ? 'used' : 'not called'}`, () =>
            checkPair(stage, kind, outcome),
          ),
        ]),
      );
    } finally {
      await stage.close();
    }
  });
}

/** A gateway with, for each kind, the models `alone-…` (bad upstream only) and `pair-…` (bad, then good). */
class Stage {
  readonly gateway: Gateway;
  readonly #good: ReadonlyMap<Kind, StandInModel>;
  readonly #raws: readonly RawUpstream[];

  private constructor(gateway: Gateway, good: ReadonlyMap<Kind, StandInModel>, raws: readonly RawUpstream[]) {
    this.gateway = gateway;
    this.#good = good;
    this.#raws = raws;
  }

  static async open(kinds: readonly Kind[], fault: Fault): Promise<Stage> {
    const good = new Map<Kind, StandInModel>();
    const raws: RawUpstream[] = [];
    const upstreams: object[] = [];
    for (const kind of kinds) {
      const raw = fault.script === undefined ? null : await RawUpstream.start(fault.script(kind));
      if (raw !== null) raws.push(raw);
      const credentials = fault.upstream === undefined || !('token' in fault.upstream) ? { sk: BAD_KEY } : {};
      const bad = { endpoint: fault.endpoint ?? raw?.url, ...credentials, ...fault.upstream };
      const model = await StandInModel.start({ reply: 'all is well' });
      good.set(kind, model);
      upstreams.push(
        { name: `lone-${kind}`, allow: [`alone-${kind}`], ...bad },
        { name: `bad-${kind}`, allow: [`pair-${kind}`], ...bad },
        { name: `good-${kind}`, allow: [`pair-${kind}`], endpoint: model.url, sk: 'key-of-the-good-one' },
      );
    }
    return new Stage(await Gateway.start({ ...LIMITS, ...fault.config, upstreams }), good, raws);
  }

  good(kind: Kind): StandInModel {
    return this.#good.get(kind) ?? assert.fail(`no good upstream for ${kind}`);
  }

  async close(): Promise<void> {
    await this.gateway.close();
    for (const upstream of [...this.#raws, ...this.#good.values()]) await upstream.close();
  }
}

async function checkAlone(gateway: Gateway, kind: Kind, outcome: Outcome): Promise<void> {
  const { response, text, elapsedMs } = await ask(gateway, kind, `alone-${kind}`);
  const attempts = outcome.attemptsAlone ?? 1;
  assert.equal(response.status, outcome.status, text);
  const error = errorIn(text);
  assert.equal(error.code, outcome.code, text);
  if (outcome.type !== undefined) assert.equal(error.type, outcome.type, text);
  if (outcome.says !== undefined) assert.match(error.message, outcome.says);
  checkHeaders(response, outcome);
  assert.equal(response.headers.get('x-tokenferry-attempts'), String(attempts), 'attempts header');
  assert.equal(response.headers.get('x-tokenferry-upstream'), `lone-${kind}`);
  assert.doesNotMatch(text, /127\.0\.0\.1|localhost|key-of-the/, 'no host and no key in the message');
  isInTime(elapsedMs, kind, true, outcome);
  const row = await gateway.rowOf(response.headers.get('x-request-id'));
  assert.equal(row.outcome, outcome.outcome ?? 'upstream_error');
  assert.equal(row.status, outcome.status);
  assert.deepEqual(
    row.attempts.map((one) => one.outcome),
    Array.from({ length: attempts }, () => outcome.attempt),
  );
  assert.equal(row.attempts.at(-1)?.status, outcome.upstreamStatus);
  await checkHealth(gateway, kind, outcome, attempts);
}

function checkHeaders(response: Response, outcome: Outcome): void {
  if (outcome.shouldRetry !== undefined) {
    assert.equal(response.headers.get('x-should-retry'), outcome.shouldRetry, 'x-should-retry');
  }
  const retryAfter = response.headers.get('retry-after');
  if (outcome.retryAfter === undefined) {
    if (outcome.status !== 429 && outcome.status !== 503) assert.equal(retryAfter, null, 'no retry-after');
    return;
  }
  const [least, most] = outcome.retryAfter;
  assert.match(retryAfter ?? '', /^\d+$/);
  assert.ok(Number(retryAfter) >= least && Number(retryAfter) <= most, `retry-after ${retryAfter}`);
}

/** Cooling at once, after three failures in a row, or never. */
async function checkHealth(gateway: Gateway, kind: Kind, outcome: Outcome, attempts: number): Promise<void> {
  const isCooling = async (): Promise<boolean> =>
    (await gateway.readiness()).degraded.some((text) => text.startsWith(`upstream lone-${kind}: cooling`));
  if (outcome.counts === 'cools_at_once') {
    assert.equal(await isCooling(), true, 'cools at once');
    return;
  }
  if (attempts < 3) assert.equal(await isCooling(), false, 'one failure alone opens nothing');
  for (let asked = attempts; asked < 3; asked++) await ask(gateway, kind, `alone-${kind}`);
  const doesCount = outcome.counts === 'yes' || (outcome.counts === 'yes_for_chat' && kind !== 'embeddings');
  assert.equal(await isCooling(), doesCount, 'after three in a row');
}

async function checkPair(stage: Stage, kind: Kind, outcome: Outcome): Promise<void> {
  const good = stage.good(kind);
  const { response, text, elapsedMs } = await ask(stage.gateway, kind, `pair-${kind}`);
  isInTime(elapsedMs, kind, false, outcome);
  const row = await stage.gateway.rowOf(response.headers.get('x-request-id'));
  if (outcome.nextCandidate === false) {
    assert.equal(response.status, outcome.status, text);
    assert.equal(good.received.length, 0, 'the other upstream was not asked');
    assert.equal(row.attempts.length, 1);
    return;
  }
  assert.equal(response.status, 200, text);
  checkGood(kind, text);
  assert.equal(response.headers.get('x-tokenferry-upstream'), `good-${kind}`);
  assert.equal(response.headers.get('x-tokenferry-attempts'), '2');
  assert.equal(good.received.length, 1);
  assert.equal(good.received[0]?.text, JSON.stringify(bodyOf(kind, `pair-${kind}`)), 'byte for byte');
  checkPairRow(row, kind, outcome);
}

function checkPairRow(row: StoredRow, kind: Kind, outcome: Outcome): void {
  assert.equal(row.outcome, 'ok');
  assert.equal(row.upstream, `good-${kind}`);
  const facts = row.attempts.map(({ upstream, outcome: how, status }) => ({ upstream, how, status }));
  assert.deepEqual(facts, [
    { upstream: `bad-${kind}`, how: outcome.attempt, status: outcome.upstreamStatus },
    { upstream: `good-${kind}`, how: 'ok', status: 200 },
  ]);
}

/** A good answer of the kind, whole and canonical. */
export function checkGood(kind: Kind, text: string): void {
  if (kind === 'stream') {
    const stream = checkCanonicalStream(text, { includeUsage: true });
    assert.equal(stream.error, null);
    assert.equal(stream.choices[0]?.content, 'all is well');
  } else if (kind === 'chat') {
    assert.equal(checkCanonicalReply(text).choices[0].message.content, 'all is well');
  } else {
    assert.equal((JSON.parse(text) as { data: unknown[] }).data.length, 1);
  }
}

export interface Asked {
  readonly response: Response;
  readonly text: string;
  readonly elapsedMs: number;
}

function isInTime(elapsedMs: number, kind: Kind, isAlone: boolean, { withinMs }: Outcome): void {
  const boundMs = typeof withinMs === 'number' ? withinMs : withinMs(kind, isAlone);
  assert.ok(elapsedMs < boundMs + SLACK_MS, `took ${elapsedMs} ms, not ${boundMs}`);
}

export async function ask(
  gateway: Gateway,
  kind: Kind,
  model: string,
  init: RequestInit = {},
): Promise<Asked> {
  const startedMs = performance.now();
  const response = await gateway.post(pathOf(kind), bodyOf(kind, model), init);
  const text = await response.text();
  return { response, text, elapsedMs: performance.now() - startedMs };
}

export function pathOf(kind: Kind): string {
  return kind === 'embeddings' ? '/v1/embeddings' : '/v1/chat/completions';
}

/** `include_usage` and `encoding_format` spelled out, so that nothing has to be adapted for the upstream. */
export function bodyOf(kind: Kind, model: string): object {
  if (kind === 'embeddings') return { model, input: 'hello', encoding_format: 'float' };
  const chat = { model, messages: [{ role: 'user', content: 'hello' }] };
  return kind === 'stream' ? { ...chat, stream: true, stream_options: { include_usage: true } } : chat;
}
