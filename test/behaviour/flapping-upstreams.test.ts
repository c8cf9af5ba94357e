import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { wordVector } from '../../src/demo/model.ts';
import { checkCanonicalReply, checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { type CircuitEvent, Gateway, until } from '../helpers/gateway.ts';
import { randomFrom } from '../helpers/seeded-random.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { KINDS, type Kind, LIMITS } from './fault-rig.ts';

const REQUESTS = 10_000;
const AT_ONCE = 16;
const DIMENSION = 8;
const SEED = Number(process.env.FLAPPING_SEED ?? 20_261_121);
/** Pauses are long beside what a request takes to arrive, and short beside the run. */
const FIRST_PAUSE_MS = 300;

/** What a flapping upstream does with a request, by a number in [0, 1). */
function misbehave(response: ServerResponse, how: number): void {
  if (how < 0.3) response.writeHead(503).end();
  // Half a status line: a reset without any byte would look like a stale connection, which is asked again on a new one.
  else if (how < 0.6) response.socket?.end('HTTP/1.1 2');
  else if (how < 0.7)
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>maintenance</html>');
  else if (how < 0.8) response.writeHead(200, { 'content-type': 'application/json' }).end();
  else if (how < 0.9)
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: {"error":"overloaded"}\n\n');
  else response.writeHead(500, { 'content-type': 'application/json' }).end('{"error":{"message":"boom"}}');
}

interface Flapper {
  readonly model: StandInModel;
  readonly arrivalsMs: number[];
  isSick: boolean;
}

async function startUpstream(random: () => number): Promise<Flapper> {
  const arrivalsMs: number[] = [];
  const upstream = { isSick: false, arrivalsMs };
  const model = await StandInModel.start({
    dimension: DIMENSION,
    reply: ({ messages }) => `answer to ${JSON.stringify(messages?.[0]?.content)}`,
    intercept: (_request, response) => {
      arrivalsMs.push(performance.now());
      if (upstream.isSick) misbehave(response, random());
      return upstream.isSick;
    },
  });
  return Object.assign(upstream, { model });
}

/** Asks one question; throws unless the answer is the one to it. */
async function askQuestion(gateway: Gateway, number: number): Promise<void> {
  const kind = KINDS[number % KINDS.length] as Kind;
  const question = `question ${number}`;
  const chat = { model: 'm', messages: [{ role: 'user', content: question }], stream: kind === 'stream' };
  const response =
    kind === 'embeddings'
      ? await gateway.post('/v1/embeddings', { model: 'm', input: question })
      : await gateway.post('/v1/chat/completions', chat);
  const text = await response.text();
  assert.equal(response.status, 200, `${kind} ${number}: ${text}`);
  const expected = `answer to "${question}"`;
  if (kind === 'stream') {
    const { choices, error } = checkCanonicalStream(text);
    assert.equal(error ?? null, null, text);
    assert.equal(choices[0]?.content, expected);
  } else if (kind === 'chat') {
    assert.equal(checkCanonicalReply(text).choices[0]?.message.content, expected);
  } else {
    const { data } = JSON.parse(text) as { data: { embedding: number[] }[] };
    assert.deepEqual(data[0]?.embedding, wordVector(question, DIMENSION));
  }
}

/**
 * From a change of its circuit to the next a cooling upstream gets what was under way when it opened, and its probe:
 * fewer than run at once together, where it would get dozens if it were asked. Returns the number of pauses.
 */
function checkOnlyProbes(events: readonly CircuitEvent[], arrivalsMs: readonly number[]): number {
  let pauses = 0;
  for (const [position, event] of events.entries()) {
    const next = events[position + 1];
    if (event.state !== 'cooling' || next === undefined) continue;
    const during = arrivalsMs.filter((atMs) => atMs > event.atMs && atMs <= next.atMs);
    const arrivals = during.map((atMs) => `${Math.round(atMs - event.atMs)} ms`).join(', ');
    assert.ok(during.length <= AT_ONCE, `requests to ${event.upstream} in a pause: ${arrivals}`);
    pauses++;
  }
  return pauses;
}

test(`${REQUESTS} requests over three upstreams of which two flap: none fails, none gets another's response, and a cooling upstream gets only probes`, async (context) => {
  const random = randomFrom(SEED);
  const upstreams = await Promise.all([0, 1, 2].map(() => startUpstream(random)));
  context.after(() => Promise.all(upstreams.map(({ model }) => model.close())));
  await using gateway = await Gateway.start({
    ...LIMITS,
    timeout: '20s',
    embeddings_timeout: '20s',
    stream_timeout: '20s',
    first_content_timeout: '20s',
    cool_down: { failures: 3, first: `${FIRST_PAUSE_MS}ms`, max: `${2 * FIRST_PAUSE_MS}ms` },
    record: { queue: 2 * REQUESTS },
    upstreams: upstreams.map(({ model }, index) => ({
      name: `u${index}`,
      endpoint: model.url,
      sk: 'key-of-all',
      allow: ['m'],
    })),
  });
  const flap = setInterval(() => {
    for (const one of upstreams.slice(0, 2)) one.isSick = random() < 0.5;
  }, 100);
  let asked = 0;
  const worker = async (): Promise<void> => {
    while (asked < REQUESTS) await askQuestion(gateway, asked++);
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
  } finally {
    clearInterval(flap);
    context.diagnostic(`seed ${SEED}`);
  }

  await until(() => gateway.rows().length === REQUESTS, 'every request has its record', 10_000);
  const rows = gateway.rows();
  assert.deepEqual([...new Set(rows.map(({ outcome }) => outcome))], ['ok']);
  const moved = rows.filter(({ attempts }) => attempts.length > 1).length;
  assert.ok(moved > 20, `only ${moved} requests saw a fault: the run shows nothing`);

  const pauses = upstreams.map(({ arrivalsMs }, index) =>
    checkOnlyProbes(
      gateway.circuitEvents.filter(({ upstream }) => upstream === `u${index}`),
      arrivalsMs,
    ),
  );
  assert.ok((pauses[0] ?? 0) > 3 && (pauses[1] ?? 0) > 3, `pauses: ${pauses}`);
  assert.equal(pauses[2], 0, 'the good one never cooled down');
  context.diagnostic(`${moved} requests moved on, pauses of the three: ${pauses}`);
});
