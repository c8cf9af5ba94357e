/**
 * `npm run crowd`: many streams at once, a tenth of the clients
 * leaving at a random moment and others coming in their place. Exit code 1 when a stream got another one's words or
 * lost its own, or when anything is left behind: requests, upstream calls, sockets, timers, memory.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { numberOption, toolOptions } from '../scripts/tool-options.ts';
import { randomFrom } from '../test/helpers/seeded-random.ts';
import { type RequestBody, StandInModel } from '../test/helpers/stand-in-model.ts';
import { listen, type StreamResult, wordsOfStream } from './crowd-client.ts';
import { crowdVerdict, printCrowd } from './crowd-verdict.ts';
import { startGatewayUnderLoad } from './gateway-under-load.ts';

const USAGE = `npm run crowd -- [options]

  --streams N   streams at once (500)
  --seconds N   how long (60)
  --rate N      words a second of each stream (10)
  --seed N      of who leaves and when; the seed of a failure repeats it`;

const { values } = toolOptions(USAGE, {
  options: {
    streams: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '60' },
    rate: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});

interface Crowd {
  readonly streams: number;
  readonly seconds: number;
  /** Words a second of each stream. */
  readonly rate: number;
}

const LEAVING = 0.1;
/** Streams do not begin all at once. */
const ARRIVING_MS = 2_000;
/** Idle connections are no leak: they are closed before anything is counted, so long before. */
const SETTLE_MS = 2_500;
/** Fills the caches that fill once. */
const WARM_UP: Crowd = { streams: 200, seconds: 5, rate: 10 };

/** The model sends as many words as the question requests. */
function answer({ messages }: RequestBody): string {
  const { name, words } = JSON.parse(String(messages?.[0]?.content)) as { name: string; words: number };
  return wordsOfStream(name, words);
}

/** All streams of a crowd; a client that disconnects is replaced by another one. */
async function run(url: string, crowd: Crowd, random: () => number): Promise<StreamResult[]> {
  const agent = new Agent({ connections: null, bodyTimeout: 0, headersTimeout: 60_000 });
  const results: StreamResult[] = [];
  const endMs = performance.now() + crowd.seconds * 1000;
  const place = async (number: number): Promise<void> => {
    await sleep(random() * Math.min(ARRIVING_MS, crowd.seconds * 250));
    const words = (): number => Math.max(1, Math.round(((endMs - performance.now()) / 1000) * crowd.rate));
    if (random() < LEAVING) {
      const leavesAfterMs = random() * (endMs - performance.now()) * 0.9;
      results.push(await listen(agent, url, { name: `${number}a`, words: words(), leavesAfterMs }));
    }
    results.push(await listen(agent, url, { name: `${number}b`, words: words(), leavesAfterMs: null }));
  };
  await Promise.all(Array.from({ length: crowd.streams }, (_, number) => place(number)));
  await agent.close();
  return results;
}

/** Requests by outcome, and how many run, from /metrics. */
async function counted(url: string): Promise<{ outcomes: Record<string, number>; inflight: number }> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const outcomes: Record<string, number> = {};
  for (const [, labels, value] of text.matchAll(/^tokenferry_requests_total\{(.*)\} (\d+)$/gm)) {
    const outcome = /outcome="(\w+)"/.exec(labels ?? '')?.[1] ?? '';
    if (labels?.includes('path="/v1/chat/completions"'))
      outcomes[outcome] = (outcomes[outcome] ?? 0) + Number(value);
  }
  // The request for the metrics is one of those that run.
  const inflight = Number(/^tokenferry_inflight (\d+)$/m.exec(text)?.[1] ?? Number.NaN) - 1;
  return { outcomes, inflight };
}

async function measure(crowd: Crowd, seed: number): Promise<boolean> {
  const model = await StandInModel.start({ reply: answer, wordDelayMs: 1000 / crowd.rate });
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-crowd-'));
  const { url, child } = await startGatewayUnderLoad(folder, {
    upstreams: [{ name: 'crowd', endpoint: model.url, sk: 'crowd-key', allow: ['m'] }],
  });
  const settled = async (): Promise<void> => {
    model.closeIdleConnections();
    await sleep(SETTLE_MS);
  };
  try {
    const random = randomFrom(seed);
    await run(url, WARM_UP, random);
    await settled();
    const outcomesBefore = (await counted(url)).outcomes;
    const before = await child.meter(true);
    const startedMs = performance.now();
    const results = await run(url, crowd, random);
    const elapsedMs = performance.now() - startedMs;
    const { cpuUs } = await child.meter();
    await settled();
    const { outcomes, inflight } = await counted(url);
    for (const [outcome, count] of Object.entries(outcomesBefore))
      outcomes[outcome] = (outcomes[outcome] ?? 0) - count;
    const facts = {
      streams: results.length,
      left: results.filter(({ hasLeft }) => hasLeft).length,
      elapsedMs,
      faults: results.flatMap(({ fault }) => fault ?? []),
      eventsPerSecond: results.reduce((sum, { events }) => sum + events, 0) / (elapsedMs / 1000),
      cpuShare: (cpuUs - before.cpuUs) / 1000 / elapsedMs,
      before,
      after: await child.meter(true),
      upstreamCalls: model.open,
      inflight,
      outcomes,
    };
    printCrowd(seed, facts);
    return crowdVerdict(facts);
  } finally {
    await child.stop();
    await model.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const crowd: Crowd = {
  streams: numberOption('streams', values.streams),
  seconds: numberOption('seconds', values.seconds),
  rate: numberOption('rate', values.rate),
};
const isKept = await measure(crowd, numberOption('seed', values.seed));
process.exitCode = isKept ? 0 : 1;
