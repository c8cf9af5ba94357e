/**
 * `npm run indexing`: unmodified clients, 8 workers each, at an upstream with a rate limit: directly, and through the gateway.
 * Prints a table of how many calls succeeded and which share of the upstream's rate they reached.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { numberOption, toolOptions } from '../../scripts/tool-options.ts';
import { CLIENT_KEY, startGatewayUnderLoad } from '../gateway-under-load.ts';

const USAGE = `npm run indexing -- [options]     needs npm run install:clients
  --clients LIST    openai-python,openai-node,langchain,llamaindex,ragflow
  --rates LIST      calls a second, default 3,10,50
  --limiters LIST   sliding-second (default), fixed-second, bucket, large-bucket, fixed-minute, sliding-minute
  --hints LIST      retry-after,nothing (default), retry-after-ms, x-ratelimit
  --seconds N       length of a run at the upstream's full rate, default 60
  --batch N         texts of a call, default 16
  --parallel N      cells that are measured at once, default 2
  --ragflow FILE    RAGFlow's rag/llm/embedding_model.py; default: the same calls
  --through         only through the gateway`;

const { values } = toolOptions(USAGE, {
  options: {
    clients: { type: 'string', default: 'openai-python,openai-node,langchain,llamaindex,ragflow' },
    rates: { type: 'string', default: '3,10,50' },
    limiters: { type: 'string', default: 'sliding-second' },
    hints: { type: 'string', default: 'retry-after,nothing' },
    seconds: { type: 'string', default: '60' },
    batch: { type: 'string', default: '16' },
    parallel: { type: 'string', default: '2' },
    ragflow: { type: 'string', default: '' },
    through: { type: 'boolean', default: false },
  },
});

const WORKERS = 8;
const MIN_SHARE = 0.95;
const folder = fileURLToPath(new URL('.', import.meta.url));
const suites = fileURLToPath(new URL('../../test/clients', import.meta.url));

interface Cell {
  readonly client: string;
  readonly limiter: string;
  readonly hint: string;
  readonly perSecond: number;
}

interface Outcome {
  readonly served: number;
  readonly failed: number;
  readonly firstError: string;
  /** Of the upstream's rate, from its first to its last accepted call. */
  readonly share: number;
  readonly refused: number;
}

/** The first line that a process prints; rejects when it ends without one. */
async function firstLine(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new Error('the process has no output');
  for await (const line of createInterface({ input: child.stdout })) return line;
  throw new Error(`${child.spawnargs.slice(0, 3).join(' ')} ended without a result`);
}

function clientCommand(client: string, args: readonly string[]): readonly string[] {
  if (client === 'openai-node') return [process.execPath, join(folder, 'worker.ts'), ...args];
  const environment = client === 'llamaindex' ? 'llamaindex' : 'main';
  const python = join(suites, '.venv', environment, 'bin', 'python');
  return [python, join(folder, 'worker.py'), client, ...args, ...(values.ragflow ? [values.ragflow] : [])];
}

async function work({ client, perSecond }: Cell, baseUrl: string) {
  const calls = Math.round(perSecond * numberOption('seconds', values.seconds));
  const args = [baseUrl, CLIENT_KEY, String(calls), values.batch, String(WORKERS)];
  const [command = '', ...rest] = clientCommand(client, args);
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(await firstLine(child)) as Pick<Outcome, 'served' | 'failed' | 'firstError'>;
}

async function measure(cell: Cell, isDirect: boolean): Promise<Outcome> {
  const { limiter, hint, perSecond } = cell;
  const program = [join(folder, 'limited-upstream.ts'), limiter, String(perSecond), hint];
  const upstream = spawn(process.execPath, program, { stdio: ['ignore', 'pipe', 'inherit'] });
  const files = await mkdtemp(join(tmpdir(), 'indexing-'));
  try {
    const url = await firstLine(upstream);
    const entry = { name: 'limited', endpoint: `${url}/v1`, sk: 'upstream-key', allow: ['m'] };
    const gateway = isDirect ? null : await startGatewayUnderLoad(files, { upstreams: [entry] });
    try {
      const result = await work(cell, `${gateway?.url ?? url}/v1`);
      const counts = (await (await fetch(`${url}/counts`)).json()) as Record<string, number>;
      const { accepted = 0, refused = 0, firstMs = 0, lastMs = 0 } = counts;
      return { ...result, refused, share: (accepted * 1_000) / (lastMs - firstMs) / perSecond };
    } finally {
      await gateway?.child.stop();
    }
  } finally {
    upstream.kill();
    if (upstream.exitCode === null && upstream.signalCode === null) await once(upstream, 'exit');
    await rm(files, { recursive: true, force: true });
  }
}

function describe({ served, failed, share, refused }: Outcome): string {
  return `${served} of ${served + failed}, ${(share * 100).toFixed(1)} %, ${refused} × 429`;
}

const listOf = (text: string): string[] => text.split(',').filter((word) => word !== '');
const cells: Cell[] = [];
for (const client of listOf(values.clients))
  for (const limiter of listOf(values.limiters))
    for (const hint of listOf(values.hints))
      for (const rate of listOf(values.rates))
        cells.push({ client, limiter, hint, perSecond: numberOption('rates', rate) });

const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.version}`;
console.log(
  `${machine}, load ${loadavg()[0]?.toFixed(1)} at the start; ${WORKERS} workers, ${values.batch} texts a call\n`,
);
console.log('| client | limiter | hint | calls a second | directly | through the gateway | |');
console.log('|---|---|---|--:|---|---|---|');
const queue = [...cells];
let missed = 0;

async function measureNext(): Promise<void> {
  for (let cell = queue.shift(); cell !== undefined; cell = queue.shift()) {
    const direct = values.through ? null : await measure(cell, true);
    const through = await measure(cell, false);
    const isGood = through.failed === 0 && through.share >= MIN_SHARE;
    if (!isGood) missed += 1;
    const { client, limiter, hint, perSecond } = cell;
    const columns = [
      client,
      limiter,
      hint,
      perSecond,
      direct === null ? '' : describe(direct),
      describe(through),
    ];
    console.log(`| ${columns.join(' | ')} | ${isGood ? '✓' : `✗ ${through.firstError.slice(0, 120)}`} |`);
  }
}

await Promise.all(Array.from({ length: numberOption('parallel', values.parallel) }, measureNext));
console.log(
  `\n${cells.length - missed} of ${cells.length}: no failure and ${MIN_SHARE * 100} % of the rate; load ${loadavg()[0]?.toFixed(1)}`,
);
process.exitCode = missed === 0 ? 0 : 1;
