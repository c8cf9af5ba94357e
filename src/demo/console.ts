import type { RequestRecord } from '../lib/request-record.ts';
import type { TokenStatus } from '../tokens/manager/token-status.ts';

interface DemoFacts {
  /** Without `/v1`. */
  readonly url: string;
  readonly pageUrl: string;
  readonly key: string;
  readonly models: readonly string[];
  readonly tokenLifetimeMs: number;
}

/**
 * The text that the demo prints at its start. The examples begin in the first column, because pasted Python must not be
 * indented, and work unchanged in a shell in this repository.
 */
export function instructions({ url, pageUrl, key, models, tokenLifetimeMs }: DemoFacts): string {
  const life =
    tokenLifetimeMs % 60_000 === 0
      ? `${tokenLifetimeMs / 60_000}-minute`
      : `${tokenLifetimeMs / 1000}-second`;
  return [
    '',
    `tokenferry demo: an identity provider with ${life} tokens, a model that requires them, and the gateway`,
    'in front. Everything runs on this machine; nothing is kept. Ctrl-C stops it. For your own endpoint, write a',
    'config.yaml (README.md shows ten lines that do) and start again.',
    '',
    `  page       ${pageUrl}`,
    `  base URL   ${url}/v1`,
    `  API key    ${key}`,
    `  models     ${models.join(', ')}`,
    '',
    'Try it in a second terminal:',
    '',
    `${curlLine(url, key)} | ${TEXT_ONLY}`,
    '',
    'With the openai client for Python (pip install openai):',
    '',
    ...pythonLines(url, key),
    '',
    'With the openai client for Node, in this folder, which has it:',
    '',
    ...nodeLines(url, key),
    '',
    'As RAGFlow or Dify will see it:',
    '',
    `npm start -- verify --url ${url}/v1 --key ${key} --model demo-chat --embedding-model demo-embed`,
    '',
  ].join('\n');
}

/** Of each chunk only its text, so that a person can read the stream while it arrives. */
const TEXT_ONLY = `grep --line-buffered -o '"content":"[^"]*"'`;

function curlLine(url: string, key: string): string {
  const body = '{"model":"demo-chat","stream":true,"messages":[{"role":"user","content":"Hello"}]}';
  return `curl -sN ${url}/v1/chat/completions -H 'Authorization: Bearer ${key}' -H 'Content-Type: application/json' -d '${body}'`;
}

function pythonLines(url: string, key: string): string[] {
  return [
    "python3 - <<'END'",
    'from openai import OpenAI',
    `client = OpenAI(base_url="${url}/v1", api_key="${key}")`,
    'messages = [{"role": "user", "content": "Hello"}]',
    'for chunk in client.chat.completions.create(model="demo-chat", messages=messages, stream=True):',
    '    print(chunk.choices[0].delta.content or "", end="", flush=True)',
    'print()',
    'END',
  ];
}

function nodeLines(url: string, key: string): string[] {
  return [
    "node --input-type=module - <<'END'",
    "import OpenAI from 'openai';",
    `const client = new OpenAI({ baseURL: '${url}/v1', apiKey: '${key}' });`,
    "const messages = [{ role: 'user', content: 'Hello' }];",
    "const stream = await client.chat.completions.create({ model: 'demo-chat', messages, stream: true });",
    "for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');",
    'console.log();',
    'END',
  ];
}

/** Requests that stay on the screen; with the rest of it they fit into 24 lines. */
export const SHOWN_REQUESTS = 6;

/** The screen of a terminal: URL and key stay in sight, below them the token, the last requests and a line to try. */
export function screen(
  { url, pageUrl, key, models }: Omit<DemoFacts, 'tokenLifetimeMs'>,
  token: TokenStatus | undefined,
  requests: readonly RequestRecord[],
  columns: number,
): string[] {
  const lines = [
    'tokenferry demo: a stand-in issuer and model behind the gateway, all on this machine. Ctrl-C stops it.',
    '',
    `  page       ${pageUrl}`,
    `  base URL   ${url}/v1`,
    `  API key    ${key}`,
    `  models     ${models.join(', ')}`,
    '',
    token === undefined ? 'starting' : countdownLine(token),
    '',
    ...(requests.length === 0 ? ['No requests yet.'] : requests.map(requestLine)),
    '',
    'Try it in a second terminal:',
  ];
  // A line that wraps would move the rest of the screen; the command has to stay whole to be copied.
  return [...lines.map((line) => line.slice(0, columns - 1)), `${curlLine(url, key)} | ${TEXT_ONLY}`];
}

function requestLine({
  createdAtMs,
  path,
  model,
  status,
  outcome,
  elapsedMs,
  firstTokenMs,
}: RequestRecord): string {
  const time = new Date(createdAtMs).toTimeString().slice(0, 8);
  const first = firstTokenMs === null ? '' : `, first content after ${Math.round(firstTokenMs)} ms`;
  return `${time}  ${status} ${outcome}  ${path}  ${model ?? '-'}  ${Math.round(elapsedMs)} ms${first}`;
}

const BAR_WIDTH = 24;

/** `4:07`; `0:00` for negative durations. */
function minutesAndSeconds(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** One line about the token in use: its number, its remaining life, the time to the renewal. */
export function countdownLine(token: TokenStatus): string {
  if (token.remainingMs === null) return `no token yet (${token.state})${reason(token)}`;
  const next =
    token.nextAttemptInMs === null ? '' : ` · renewal in ${minutesAndSeconds(token.nextAttemptInMs)}`;
  const bar = barOf(token.remainingMs / (token.lifeMs ?? token.remainingMs));
  return `token ${token.generation} ${bar} expires in ${minutesAndSeconds(token.remainingMs)} · ${token.state}${next}${reason(token)}`;
}

function reason(token: TokenStatus): string {
  return token.consecutiveFailures > 0 && token.lastError !== null ? ` · ${token.lastError}` : '';
}

function barOf(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
  return '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full);
}
