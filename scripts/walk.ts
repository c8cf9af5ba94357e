/**
 * `npm run walk`: which files and functions of src one request enters, in the order in which it meets them.
 *
 * Each run is a gateway of its own that has been idle for a while; what a run without a request enters (the start,
 * readiness probes, the token, a first empty batch of records, the end) is subtracted. So what probes enter as well, as
 * most of the HTTP middleware, does not count. The numbers are the same each time; the order of two functions may
 * differ where neither waits for the other.
 */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { runService, type ServiceProcess } from '../test/helpers/run-service.ts';
import { ScriptedIssuer } from '../test/helpers/scripted-issuer.ts';
import { StandInModel } from '../test/helpers/stand-in-model.ts';
import {
  type CoverageReport,
  enteredFunctions,
  type FirstCall,
  firstCalls,
  type SourceFunction,
  type Stop,
  stopsOf,
  withoutIdle,
} from './entered-functions.ts';
import { toolOptions } from './tool-options.ts';

interface Walk {
  readonly name: string;
  readonly path: string;
  readonly body: object;
  readonly maxFiles: number;
  readonly maxFunctions?: number;
}

const MESSAGES = [{ role: 'user', content: 'When does the ferry leave?' }];

const WALKS: readonly Walk[] = [
  {
    name: 'chat stream',
    path: '/v1/chat/completions',
    body: { model: 'stand-in', messages: MESSAGES, stream: true },
    maxFiles: 60,
    maxFunctions: 320,
  },
  {
    name: 'chat',
    path: '/v1/chat/completions',
    body: { model: 'stand-in', messages: MESSAGES },
    maxFiles: 45,
  },
  {
    name: 'embeddings',
    path: '/v1/embeddings',
    body: { model: 'stand-in-embed', input: ['the ferry'] },
    maxFiles: 45,
  },
];

const CLIENT_KEY = 'walk-client-key';

/** What only one of them happens to enter is subtracted too. */
const IDLE_RUNS = 2;

/** Longer than anything that repeats: files are looked at, and the database's identity is checked, every 2 s. */
const SETTLE_MS = 2_500;

/** After the record: longer than the intervals in which log lines (200 ms) and records (500 ms) are written. */
const AFTERWARDS_MS = 1_000;

/** So that each reader waits for bytes; otherwise it depends on the scheduler whether one has to. */
const MODEL_DELAYS = { firstDelayMs: 100, wordDelayMs: 20 };

const MAX_WAIT_MS = 20_000;

const USAGE = `npm run walk -- [options]

  --functions  the names of the functions too; a function without a name is shown as its line
  --json       the same as JSON, names included
  --check      exit code 1 when a request enters more than its budget`;

const { values: flags } = toolOptions(USAGE, {
  options: {
    functions: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
  },
});

const root = fileURLToPath(new URL('..', import.meta.url));
const rootUrl = new URL('..', import.meta.url).href;

await using issuer = await ScriptedIssuer.start();
await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token), ...MODEL_DELAYS });

const idle: SourceFunction[][] = [];
for (let run = 0; run < IDLE_RUNS; run++) idle.push((await measure(null)).entered);
const results: Result[] = [];
for (const walk of WALKS) {
  const { entered, calls } = await measure(walk);
  results.push(await resultOf(walk, stopsOf(withoutIdle(entered, idle), calls)));
}
if (flags.json) console.log(JSON.stringify(results, null, 2));
else for (const line of linesOf(results)) console.log(line);
if (flags.check && results.some((result) => result.isOver)) process.exitCode = 1;

/** A gateway from its start to its end, with one request in between, or with the time for one. */
async function measure(walk: Walk | null): Promise<{ entered: SourceFunction[]; calls: FirstCall[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-walk-'));
  const issuedBefore = issuer.issuedCount;
  try {
    const service = await runService(config(), {
      // What is compiled from a cache has no coverage.
      env: { NODE_V8_COVERAGE: folder, NODE_DISABLE_COMPILE_CACHE: '1' },
      nodeFlags: ['--log-function-events', `--logfile=${join(folder, 'v8.log')}`],
    });
    try {
      await until('the gateway to be ready', () => isReady(service));
      await until('its token', () => issuer.issuedCount > issuedBefore);
      await sleep(SETTLE_MS);
      if (walk === null) await sleep(AFTERWARDS_MS);
      else await request(service, walk);
      await sleep(AFTERWARDS_MS);
    } finally {
      await service.stop();
    }
    return await readFolder(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function config(): object {
  return {
    authorization: CLIENT_KEY,
    tokens: { walk: issuer.source },
    upstreams: [{ name: 'walk', endpoint: model.url, token: 'walk' }],
    dbtype: 'sqlite',
    dbaddr: 'db.sqlite',
  };
}

async function isReady(service: ServiceProcess): Promise<boolean> {
  const response = await fetch(`${service.url}/readyz`);
  await response.body?.cancel();
  return response.status === 200;
}

async function request(service: ServiceProcess, { name, path, body }: Walk): Promise<void> {
  const response = await fetch(service.url + path, {
    method: 'POST',
    headers: { authorization: `Bearer ${CLIENT_KEY}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${name}: status ${response.status}: ${text}`);
  await until('the record', () => hasRecord(join(service.folder, 'db.sqlite')));
}

function hasRecord(file: string): boolean {
  const database = new Database(file, { readonly: true });
  try {
    return database.prepare('SELECT 1 FROM tokenferry_requests').get() !== undefined;
  } finally {
    database.close();
  }
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + MAX_WAIT_MS;
  while (!(await isSo())) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${MAX_WAIT_MS} ms for ${what} in vain`);
    await sleep(50);
  }
}

/** What V8 wrote at the end of the process: coverage and a log for each thread. */
async function readFolder(folder: string): Promise<{ entered: SourceFunction[]; calls: FirstCall[] }> {
  const names = (await readdir(folder)).sort();
  const read = (extension: string): Promise<string[]> =>
    Promise.all(
      names.filter((name) => name.endsWith(extension)).map((name) => readFile(join(folder, name), 'utf8')),
    );
  const reports = (await read('.json')).map((text) => JSON.parse(text) as CoverageReport);
  const threads = (await read('.log')).map((text) => firstCalls(text, rootUrl));
  // Each thread has a time of its own. Workers come behind the main thread: they write down what it has done.
  const isMain = (calls: readonly FirstCall[]): boolean => calls.some(({ file }) => file === 'src/main.ts');
  const calls = [...threads.filter(isMain), ...threads.filter((thread) => !isMain(thread))].flat();
  return { entered: enteredFunctions(reports, rootUrl), calls };
}

interface Result {
  readonly name: string;
  readonly files: number;
  readonly functions: number;
  readonly maxFiles: number;
  readonly maxFunctions: number | null;
  readonly isOver: boolean;
  readonly stops: readonly { readonly file: string; readonly functions: readonly string[] }[];
}

async function resultOf({ name, maxFiles, maxFunctions }: Walk, stops: readonly Stop[]): Promise<Result> {
  const functions = stops.reduce((sum, stop) => sum + stop.functions.length, 0);
  return {
    name,
    files: stops.length,
    functions,
    maxFiles,
    maxFunctions: maxFunctions ?? null,
    isOver: stops.length > maxFiles || functions > (maxFunctions ?? functions),
    stops: await Promise.all(stops.map(namedStop)),
  };
}

async function namedStop({ file, functions }: Stop): Promise<{ file: string; functions: string[] }> {
  const text = await readFile(join(root, file), 'utf8');
  const lineOf = (offset: number): number => text.slice(0, offset).split('\n').length;
  return { file, functions: functions.map(({ name, start }) => name || `line ${lineOf(start)}`) };
}

function linesOf(all: readonly Result[]): string[] {
  const width = Math.max(...all.flatMap(({ stops }) => stops.map(({ file }) => file.length)));
  const lines: string[] = [];
  for (const { name, stops } of all) {
    lines.push(name);
    for (const [index, { file, functions }] of stops.entries()) {
      lines.push(
        `${String(index + 1).padStart(4)}  ${file.padEnd(width)} ${String(functions.length).padStart(4)}`,
      );
      if (flags.functions) lines.push(`        ${functions.join(', ')}`);
    }
    lines.push('');
  }
  return [...lines, ...all.map(totalOf)];
}

function totalOf({ name, files, functions, maxFiles, maxFunctions, isOver }: Result): string {
  const most = maxFunctions === null ? '' : ` of at most ${maxFunctions}`;
  return `${name}: ${files} files of at most ${maxFiles}, ${functions} functions${most}${isOver ? ': over' : ''}`;
}
