import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/helpers/free-port.ts';
import { Child } from './child.ts';
import type { Reading } from './meter.ts';
import { MODELS } from './workloads.ts';

/** A program between the load and the upstream. */
export interface Target {
  readonly name: string;
  readonly origin: string;
  /** Null: it is no Node process. */
  readonly child: Child | null;
  /** From its start to its first response. Milliseconds. */
  readonly startMs: number;
  /** What its process has used so far; `isClean` collects garbage first. */
  meter(isClean?: boolean): Promise<Reading>;
  stop(): Promise<void>;
}

const MAX_START_MS = 20_000;

export async function startBareProxy(upstreamOrigin: string, name = 'bare proxy'): Promise<Target> {
  const startedMs = performance.now();
  const child = Child.start('gateway', 'bench/bare-proxy.ts', [upstreamOrigin]);
  const origin = `http://127.0.0.1:${await child.port()}`;
  return {
    name,
    origin,
    child,
    startMs: performance.now() - startedMs,
    meter: (isClean) => child.meter(isClean),
    stop: () => child.stop(),
  };
}

interface TokenferryOptions {
  readonly tokenPath?: string;
  /** Another checkout of the repository; this one unless given. */
  readonly folder?: string;
  readonly name?: string;
  /** Keys of the configuration in place of the usual ones. */
  readonly config?: object;
}

/** As users run it: `node src/main.ts --config`, client key, tokens, record in SQLite, metrics, a log line a request. */
export async function startTokenferry(
  upstreamOrigin: string,
  { tokenPath = '/oauth2/token', folder: checkout, name = 'tokenferry', config }: TokenferryOptions = {},
): Promise<Target> {
  const port = await freePort();
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-bench-'));
  const file = join(folder, 'config.yaml');
  // JSON is YAML.
  await writeFile(file, JSON.stringify({ ...configOf(port, upstreamOrigin, tokenPath, folder), ...config }));
  const startedMs = performance.now();
  const child = Child.start(
    'gateway',
    'src/main.ts',
    ['--config', file],
    join(folder, 'gateway.log'),
    checkout,
  );
  const origin = `http://127.0.0.1:${port}`;
  try {
    await untilReady(origin, child);
  } catch (error) {
    await child.stop();
    throw error;
  }
  const startMs = performance.now() - startedMs;
  return {
    name,
    origin,
    child,
    startMs,
    meter: (isClean) => child.meter(isClean),
    async stop() {
      await child.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function configOf(port: number, upstreamOrigin: string, tokenPath: string, folder: string): object {
  return {
    address: `127.0.0.1:${port}`,
    authorization: 'bench-client-key',
    tokens: {
      bench: {
        type: 'oauth2',
        token_url: `${upstreamOrigin}${tokenPath}`,
        grant: 'client_credentials',
        client_id: 'bench',
        client_secret: 'bench-secret',
      },
    },
    upstreams: [{ name: 'bench', endpoint: `${upstreamOrigin}/v1`, token: 'bench', allow: MODELS }],
    dbtype: 'sqlite',
    dbaddr: join(folder, 'db.sqlite'),
    log: { level: 'info', format: 'json' },
  };
}

async function untilReady(origin: string, child: Child): Promise<void> {
  const deadlineMs = performance.now() + MAX_START_MS;
  while (performance.now() < deadlineMs && child.isRunning) {
    try {
      const response = await fetch(`${origin}/readyz`);
      await response.body?.cancel();
      if (response.status === 200) return;
    } catch {
      // Not listening yet.
    }
    await sleep(10);
  }
  throw new Error('tokenferry did not become ready: start it by hand to see why');
}
