import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Answer, Json } from '../clients/answers.ts';
import { runService } from '../helpers/run-service.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { OddChatModel } from './odd-chat-model.ts';

/** Shorter than a turn of the model and the pause behind it, so that every turn needs another token. Milliseconds. */
const TOKEN_LIFE_MS = 1_500;
const TURN_MS = 1_000;
const MAX_RUN_MS = 300_000;
/** From SIGTERM to SIGKILL. */
const MAX_STOP_MS = 10_000;

/** The model as applications name it. */
export const MODEL = 'corp-chat';
export const VECTORS_MODEL = 'corp-vectors';
export const KEY = 'key-of-the-application';
/** What every application is made to write. */
export const TIMETABLE = 'The ferry leaves at noon.';

/** Where `npm run install:applications` puts a program of npm, or one of a Python environment. */
export const nodeProgram = (name: string): string =>
  fileURLToPath(new URL(`node_modules/.bin/${name}`, import.meta.url));
export const pythonProgram = (environment: string, name = 'python'): string =>
  fileURLToPath(new URL(`.venv/${environment}/bin/${name}`, import.meta.url));

/** A program of npm that is only installed when it is named: `npm run install:applications -- promptfoo`. */
export const largeProgram = (name: string): string =>
  fileURLToPath(new URL(`.large/${name}/node_modules/.bin/${name}`, import.meta.url));

interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** An application in front of a gateway whose only upstream is odd, has chats and embeddings only, and tokens of a second and a half. */
export interface Scene {
  /** The base URL with `/v1`. */
  readonly url: string;
  /** Home and working directory of the application. */
  readonly home: string;
  readonly model: OddChatModel;
  /** Runs a program to its end and returns what it printed; fails when its exit code is not 0. */
  run(program: Program): Promise<string>;
  /** Starts a program that serves; resolves when `ready` is a 200. */
  startServer(program: Program & { readonly ready: string }): Promise<Server>;
  /** Fails unless the upstream has seen at least three tokens. */
  assertRenewals(): void;
}

/** An application that serves, ended with its scene. */
export interface Server extends AsyncDisposable {
  readonly url: string;
  /** The end of what it printed so far. */
  output(): string;
}

/** A test of one application, skipped with the reason where `program` is not installed. */
export function testApplication(
  title: string,
  program: string,
  script: { readonly answer: (body: Json, home: string) => Answer; run(scene: Scene): Promise<void> },
): void {
  const skip = existsSync(program) ? false : `${program} is not installed: npm run install:applications`;
  test(title, { skip }, async (context) => {
    const home = await mkdtemp(join(tmpdir(), 'application-'));
    context.after(() => rm(home, { recursive: true, force: true, maxRetries: 5 }));
    await using issuer = await ScriptedIssuer.start({ lifetimeMs: TOKEN_LIFE_MS });
    await using model = await OddChatModel.start({
      isLive: (token) => issuer.isLive(token),
      answer: (body) => script.answer(body, home),
      delayMs: TURN_MS,
    });
    const service = await runService(
      {
        authorization: KEY,
        tokens: { corp: issuer.source },
        upstreams: [
          {
            name: 'corp',
            endpoint: model.url,
            token: 'corp',
            allow: [MODEL, VECTORS_MODEL],
            models: { 'gpt-5.5': MODEL },
          },
        ],
        dbtype: 'none',
      },
      { maxStartMs: MAX_RUN_MS },
    );
    try {
      await script.run(
        sceneOf(context, { url: `${service.url}/v1`, home, model, log: () => service.output }),
      );
    } finally {
      await service.stop();
    }
  });
}

function sceneOf(
  context: TestContext,
  { log, ...parts }: Pick<Scene, 'url' | 'home' | 'model'> & { readonly log: () => string },
): Scene {
  return {
    ...parts,
    run: async (program) => {
      const { code, output } = await runProgram(program, parts.home, parts.url);
      context.diagnostic(output.slice(-300));
      const forms = JSON.stringify(parts.model.turns.map(({ form }) => form));
      assert.equal(code, 0, `${output.slice(-6000)}\n${forms}\n${log().slice(-4000)}`);
      return output;
    },
    startServer: (program) => startServer(program, parts.home, parts.url),
    assertRenewals: () => {
      const { turns, embedded } = parts.model;
      const tokens = new Set([...turns, ...embedded].map(({ token }) => token));
      assert.ok(tokens.size >= 3, `two renewals at least: ${tokens.size} tokens`);
    },
  };
}

interface Child {
  readonly child: ChildProcess;
  /** What it printed so far. */
  output(): string;
  /** Resolves with its exit code, after its last output was read. */
  readonly closed: Promise<number | null>;
}

/** An environment without anything else of this machine. */
function spawnProgram({ command, args, env }: Program, home: string, url: string): Child {
  const base = {
    PATH: process.env.PATH ?? '',
    HOME: home,
    OPENAI_BASE_URL: url,
    OPENAI_API_BASE: url,
    OPENAI_API_KEY: KEY,
    NO_PROXY: '127.0.0.1,localhost',
    NO_COLOR: '1',
    DO_NOT_TRACK: '1',
    // litellm fetches a list of prices when it is imported.
    LITELLM_LOCAL_MODEL_COST_MAP: 'True',
  };
  const child = spawn(command, args, {
    cwd: home,
    env: { ...base, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const closed = new Promise<number | null>((done, failed) => {
    child.on('error', failed);
    child.on('close', done);
  });
  return { child, output: () => output, closed };
}

async function runProgram(
  program: Program,
  home: string,
  url: string,
): Promise<{ readonly code: number | null; readonly output: string }> {
  const { child, output, closed } = spawnProgram(program, home, url);
  const patience = setTimeout(() => child.kill('SIGKILL'), MAX_RUN_MS);
  const code = await closed;
  clearTimeout(patience);
  return { code, output: output() };
}

async function startServer(
  { ready, ...program }: Program & { readonly ready: string },
  home: string,
  url: string,
): Promise<Server> {
  const { child, output, closed } = spawnProgram(program, home, url);
  const stop = async (): Promise<void> => {
    child.kill();
    const force = setTimeout(() => child.kill('SIGKILL'), MAX_STOP_MS);
    await closed;
    clearTimeout(force);
  };
  const deadlineMs = performance.now() + MAX_RUN_MS;
  while (!(await isReady(ready))) {
    if (child.exitCode !== null || performance.now() > deadlineMs) {
      await stop();
      assert.fail(`${program.command} does not serve:\n${output().slice(-6000)}`);
    }
    await sleep(200);
  }
  return {
    url: new URL(ready).origin,
    output: () => output().slice(-6000),
    [Symbol.asyncDispose]: stop,
  };
}

async function isReady(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}

/** An answer that calls a tool, its arguments in two pieces. */
export function call(name: string, input: Json, turn: number): Answer {
  const json = JSON.stringify(input);
  return {
    reasoning: ['I need ', `${name}.`],
    text: [`Now ${name}.`],
    calls: [{ id: `call_${turn}_${name}`, name, arguments: [json.slice(0, 9), json.slice(9)] }],
    finish: 'tool_calls',
  };
}

export function say(text: string): Answer {
  return { reasoning: [], text: [text], calls: [], finish: 'stop' };
}

/** The tools by which an application writes and reads a file, and the member of their input with its path. */
interface FileTools {
  readonly write: string;
  readonly read: string;
  readonly path: string;
}

/** A model that writes the timetable into `timetable.txt` of the home folder, reads it and says what it has read. */
export function writesAndReads({ write, read, path }: FileTools): (body: Json, home: string) => Answer {
  return (body, home) => {
    const file = { [path]: join(home, 'timetable.txt') };
    const results = resultsOf(body);
    if (!offers(body, write)) return say('A title');
    if (results.length === 0) return call(write, { ...file, content: `${TIMETABLE}\n` }, 0);
    if (results.length === 1) return call(read, file, 1);
    return say(`READ: ${results[1]}`);
  };
}

/** Fails unless the application has written the timetable, has shown what was read, and the token was renewed twice. */
export async function assertWritten(
  { home, assertRenewals }: Scene,
  output: string,
  name = 'timetable.txt',
): Promise<void> {
  assert.match(output, /READ: .*The ferry leaves at noon\./s);
  assert.equal(await readFile(join(home, name), 'utf8'), `${TIMETABLE}\n`);
  assertRenewals();
}

/** The results of tools that a request carries, oldest first. */
export function resultsOf(body: Json): readonly string[] {
  const messages = body.messages as Json[];
  return messages.filter(({ role }) => role === 'tool').map(({ content }) => JSON.stringify(content));
}

/** Whether the request offers a tool of this name; others are for titles and summaries. */
export function offers(body: Json, name: string): boolean {
  const tools = (body.tools ?? []) as { readonly function?: { readonly name?: unknown } }[];
  return tools.some((tool) => tool.function?.name === name);
}
