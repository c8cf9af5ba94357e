/**
 * `npm run soak`: chat, streams and embeddings at a steady
 * rate through a gateway whose tokens expire after seconds. Exit code 1 when a request fails because of a token or a guarantee of the verdict is violated.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, fetch as request } from 'undici';
import { numberOption, toolOptions } from '../scripts/tool-options.ts';
import { ScriptedIssuer } from '../test/helpers/scripted-issuer.ts';
import { StandInModel } from '../test/helpers/stand-in-model.ts';
import { CLIENT_KEY, startGatewayUnderLoad } from './gateway-under-load.ts';
import { IssuerFaults } from './issuer-faults.ts';
import { heapGrowth, issuerCallBound, printReport, type Sample, verdict } from './soak-verdict.ts';

const USAGE = `npm run soak -- [options]

  --minutes N      how long (5)
  --token-life N   seconds that a token lives (6)
  --rate N         requests a second (50)
  --faults         the issuer fails now and then
  --seed N         of the faults; the seed of a failure repeats it`;

const { values } = toolOptions(USAGE, {
  options: {
    minutes: { type: 'string', default: '5' },
    'token-life': { type: 'string', default: '6' },
    rate: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    faults: { type: 'boolean', default: false },
  },
});

/** The first half of the run fills caches (compiled code, pools): the baseline of the heap is taken after it. */
const WARM_UP_MS = 10_000;

/** Connections that are kept open are no leak: the heap is compared without them, this long after they were closed. */
const IDLE_MS = 2_000;

/** The clients' connections; a new pool for each phase, so that those of a burst can be closed. */
let clients = new Agent({ connections: null });

async function closeConnections(model: StandInModel): Promise<void> {
  const idle = clients;
  clients = new Agent({ connections: null });
  await idle.close();
  model.closeIdleConnections();
  await sleep(IDLE_MS);
}

interface Soak {
  readonly durationMs: number;
  readonly tokenLifeMs: number;
  readonly ratePerSecond: number;
  readonly seed: number;
  readonly hasFaults: boolean;
}

async function run(soak: Soak): Promise<boolean> {
  const issuer = await ScriptedIssuer.start({ lifetimeMs: soak.tokenLifeMs });
  const model = await StandInModel.start({
    wordDelayMs: 10,
    dimension: 64,
    isLive: (token) => issuer.isLive(token),
  });
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-soak-'));
  const arrivalsMs: number[] = [];
  issuer.onCall = () => void arrivalsMs.push(performance.now());
  const gateway = await startGatewayUnderLoad(folder, {
    tokens: {
      soak: { type: 'oauth2', token_url: issuer.tokenUrl, client_id: 'soak', client_secret: 'soak-secret' },
    },
    upstreams: [{ name: 'soak', endpoint: model.url, token: 'soak', allow: ['m'] }],
  });
  const faults = soak.hasFaults ? new IssuerFaults(issuer, soak) : null;
  const samples: Sample[] = [];
  try {
    await load(gateway.url, soak, WARM_UP_MS, []);
    const callsBefore = issuer.callCount;
    const refusedBefore = model.refused;
    await closeConnections(model);
    const before = await gateway.child.meter(true);
    faults?.start();
    const startedMs = performance.now();
    await load(gateway.url, soak, soak.durationMs, samples);
    const elapsedMs = performance.now() - startedMs;
    faults?.stop();
    await closeConnections(model);
    const after = await gateway.child.meter(true);
    const facts = {
      elapsedMs,
      tokenLifeMs: soak.tokenLifeMs,
      samples,
      refusals: model.refused - refusedBefore,
      issuerCalls: issuer.callCount - callsBefore,
      maxIssuerCalls: faults === null ? issuerCallBound(elapsedMs, soak.tokenLifeMs) : null,
      renewalsMs: arrivalsMs.filter((atMs) => atMs >= startedMs),
      starvedMs: faults?.starvedMs ?? [],
      heapGrowth: heapGrowth(before, after),
      heapBytes: [before.heapBytes, after.heapBytes] as const,
    };
    printReport(soak.seed, facts);
    return verdict(facts);
  } finally {
    faults?.stop();
    await gateway.child.stop();
    await model.close();
    await issuer.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Open load: a request every 1/rate seconds independent of the responses, in the proportion chat, stream, embeddings 1:1:1. */
async function load(url: string, soak: Soak, durationMs: number, samples: Sample[]): Promise<void> {
  const startedMs = performance.now();
  const running = new Set<Promise<void>>();
  for (let count = 0; performance.now() - startedMs < durationMs; count++) {
    const request = ask(url, count, samples).finally(() => running.delete(request));
    running.add(request);
    const dueMs = startedMs + ((count + 1) * 1000) / soak.ratePerSecond;
    await sleep(Math.max(0, dueMs - performance.now()));
  }
  await Promise.all(running);
}

async function ask(url: string, count: number, samples: Sample[]): Promise<void> {
  const kind = (['chat', 'stream', 'embeddings'] as const)[count % 3] ?? 'chat';
  const body =
    kind === 'embeddings'
      ? { model: 'm', input: [`text ${count}`] }
      : { model: 'm', messages: [{ role: 'user', content: `question ${count}` }], stream: kind === 'stream' };
  const atMs = performance.now();
  let firstMs = 0;
  let failure: string | null = null;
  try {
    const response = await request(`${url}/v1/${kind === 'embeddings' ? 'embeddings' : 'chat/completions'}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${CLIENT_KEY}` },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(60_000),
      dispatcher: clients,
    });
    firstMs = performance.now() - atMs;
    const text = await response.text();
    if (response.status !== 200) failure = `${kind}: ${response.status} ${text.slice(0, 200)}`;
    else if (text.includes('"error"')) failure = `${kind}: ${text.slice(-300)}`;
    else if (kind === 'stream' && !text.endsWith('data: [DONE]\n\n')) failure = 'stream: no [DONE]';
  } catch (error) {
    failure = `${kind}: ${String(error)}`;
  }
  samples.push({ kind, atMs, firstMs, endMs: performance.now(), failure });
}

const isKept = await run({
  durationMs: numberOption('minutes', values.minutes) * 60_000,
  tokenLifeMs: numberOption('token-life', values['token-life']) * 1000,
  ratePerSecond: numberOption('rate', values.rate),
  seed: numberOption('seed', values.seed),
  hasFaults: values.faults,
});
process.exitCode = isKept ? 0 : 1;
