import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Answer, Json } from '../clients/answers.ts';
import { runService } from '../helpers/run-service.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { OddChatModel } from './odd-chat-model.ts';

const WRAPPER = fileURLToPath(
  new URL('node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs', import.meta.url),
);
const KEY = 'key-of-claude-code';
/** Shorter than a turn of the model, so that every turn needs another token. Milliseconds. */
const TOKEN_LIFE_MS = 1_500;
const TURN_MS = 1_000;
const MAX_RUN_MS = 120_000;

const call = (id: string, name: string, input: Json): Answer => ({
  reasoning: ['I need ', `${name}.`],
  text: [`Now ${name}.`],
  calls: [{ id, name, arguments: [JSON.stringify(input).slice(0, 9), JSON.stringify(input).slice(9)] }],
  finish: 'tool_calls',
});

const say = (text: string): Answer => ({ reasoning: [], text: [text], calls: [], finish: 'stop' });

/** A model that writes a file, reads it, asks an agent of the small model, and says what the file has. */
function answerOf(file: string): (body: Json) => Answer {
  return (body) => {
    if (body.model === 'corp-small') return say('SMALL MODEL: one file.');
    const outputs = (body.messages as Json[]).filter(({ role }) => role === 'tool');
    switch (outputs.length) {
      case 0:
        return call('functions.Write:0', 'Write', {
          file_path: file,
          content: 'The ferry leaves at noon.\n',
        });
      case 1:
        return call('functions.Read:1', 'Read', { file_path: file });
      case 2:
        return call('functions.Agent:2', 'Agent', {
          description: 'Count the files',
          prompt: 'How many files are here?',
          subagent_type: 'Explore',
          model: 'haiku',
          run_in_background: false,
        });
      default:
        return say(`READ: ${outputs[1]?.content} AGENT: ${outputs[2]?.content}`);
    }
  };
}

/** The settings of docs/applications.md, in an environment without anything else of this machine. */
const environmentFor = (url: string, home: string): Record<string, string> => ({
  PATH: process.env.PATH ?? '',
  HOME: home,
  CLAUDE_CONFIG_DIR: join(home, '.claude'),
  ANTHROPIC_BASE_URL: url,
  ANTHROPIC_AUTH_TOKEN: KEY,
  ANTHROPIC_MODEL: 'claude-corp',
  ANTHROPIC_DEFAULT_HAIKU_MODEL: 'claude-corp-small',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  CLAUDE_CODE_ATTRIBUTION_HEADER: '0',
  DISABLE_AUTOUPDATER: '1',
});

interface Run {
  readonly code: number | null;
  readonly output: string;
}

function claude(args: readonly string[], cwd: string, env: Record<string, string>): Promise<Run> {
  const child = spawn(process.execPath, [WRAPPER, ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const patience = setTimeout(() => child.kill('SIGKILL'), MAX_RUN_MS);
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.resume();
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', (code) => {
      clearTimeout(patience);
      done({ code, output });
    });
  });
}

test('Claude Code writes and reads a file on an odd upstream that only chats, across renewals of its token', async (context) => {
  const home = await mkdtemp(join(tmpdir(), 'claude-code-'));
  context.after(() => rm(home, { recursive: true, force: true }));
  const file = join(home, 'timetable.txt');
  await using issuer = await ScriptedIssuer.start({ lifetimeMs: TOKEN_LIFE_MS });
  await using model = await OddChatModel.start({
    isLive: (token) => issuer.isLive(token),
    answer: answerOf(file),
    delayMs: TURN_MS,
  });
  const service = await runService({
    authorization: KEY,
    tokens: { corp: issuer.source },
    upstreams: [
      {
        name: 'corp',
        endpoint: model.url,
        token: 'corp',
        models: { 'claude-*small*': 'corp-small', 'claude-*': 'corp-chat' },
      },
    ],
    dbtype: 'none',
  });
  try {
    const args = ['-p', 'Write a timetable and read it.', '--output-format', 'json'];
    const tools = ['--allowedTools', 'Write,Read,Agent', '--permission-mode', 'acceptEdits'];
    const { code, output } = await claude([...args, ...tools], home, environmentFor(service.url, home));
    const told = `${output}\n${JSON.stringify(model.turns.map(({ form }) => form))}\n${service.output}`;
    assert.equal(code, 0, told);
    const result = JSON.parse(output.slice(output.indexOf('{'))) as Json;
    assert.equal(result.is_error, false, told);
    assert.match(
      String(result.result),
      /^READ: .*The ferry leaves at noon\..*AGENT: .*SMALL MODEL: one file\./s,
    );
    assert.equal(await readFile(file, 'utf8'), 'The ferry leaves at noon.\n');
    // Thinking that Claude Code does not show comes back all the same, for upstreams that require it.
    const history = model.turns.flatMap(({ body }) => body.messages as Json[]);
    assert.ok(
      history.some(({ reasoning_content: thought }) => thought === 'I need Write.'),
      output,
    );
    const models = new Set(model.turns.map(({ body }) => body.model));
    assert.deepEqual([...models].sort(), ['corp-chat', 'corp-small']);
    assert.ok(new Set(model.turns.map(({ token }) => token)).size > 2, 'at least two renewals');
    assert.deepEqual(model.unknownPaths, ['POST /v1/messages?beta=true']);
    const { usage } = result as { usage: { input_tokens: number; output_tokens: number } };
    assert.ok(usage.input_tokens > 0 && usage.output_tokens > 0, told);
  } finally {
    await service.stop();
  }
});
