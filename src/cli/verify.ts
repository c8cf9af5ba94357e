import { performance } from 'node:perf_hooks';
import OpenAI, { APIConnectionError, APIError } from 'openai';
import { findConfigFile } from '../config/load/load-config.ts';
import { parseJson } from '../lib/json/json-object.ts';
import { counted } from '../lib/text/format.ts';
import { CONFIG_OPTION, readArguments, UsageError, withUsage } from './arguments.ts';
import { loadEnvironment } from './environment-file.ts';

const USAGE = `usage: tokenferry verify [--url URL] [--key KEY] [--model MODEL] [--embedding-model MODEL] [--config FILE]

  --url              base URL as an application would get it; default http://127.0.0.1:8888/v1
  --key              client key; default: TOKENFERRY_KEY of the environment or of the .env beside the configuration,
                     then OPENAI_API_KEY
  --model            default: the first listed model that does not look like an embedding model
  --embedding-model  default: the first listed model that looks like one; without one, embeddings are skipped`;

/** How RAGFlow, Cherry Studio and others guess the kind of a model from its name. */
export const EMBEDDING_NAME = /embed|bge|gte|e5-/i;

const TIMEOUT_MS = 60_000;

interface Settings {
  readonly url: string;
  readonly key: string;
  readonly model: string | undefined;
  readonly embeddingModel: string | undefined;
}

/**
 * `tokenferry verify`: the openai client, exactly as an application uses it, against a running gateway (ours or any
 * other). Resolves with the exit code: 0 all good, 1 a check failed, 2 bad usage.
 */
export async function verify(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, () => run(settingsOf(args)));
}

async function run(settings: Settings): Promise<number> {
  const client = new OpenAI({
    baseURL: settings.url,
    apiKey: settings.key,
    maxRetries: 0, // a retry would hide a failure
    timeout: TIMEOUT_MS,
    logLevel: 'off',
  });
  const report = new Report();
  console.log(`${settings.url} through the openai client:\n`);

  const models = await report.check('models', () => listModels(client));
  const listed = models ?? [];
  const model = settings.model ?? listed.find((id) => !EMBEDDING_NAME.test(id));
  const embeddingModel = settings.embeddingModel ?? listed.find((id) => EMBEDDING_NAME.test(id));
  if (model === undefined) {
    report.fail('chat', 'no model to test: none is listed; name one with --model');
  } else {
    await report.check('chat', () => askOnce(client, model));
    await report.check('stream', () => streamOnce(client, model));
    await report.check('tool call', () => callTool(client, model));
    await report.check('responses', () => respondOnce(client, model));
  }
  if (embeddingModel === undefined) report.skip('embeddings', 'no embedding model is listed or named');
  else await report.check('embeddings', () => embedOnce(client, embeddingModel));
  return report.conclude();
}

function settingsOf(args: readonly string[]): Settings {
  const text = { type: 'string' } as const;
  const { values } = readArguments(args, {
    ...CONFIG_OPTION,
    url: text,
    key: text,
    model: text,
    'embedding-model': text,
  });
  const url = values.url ?? 'http://127.0.0.1:8888/v1';
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new UsageError(`--url ${url} is not an http or https URL`);
  const file = findConfigFile(values.config, process.cwd());
  if (file !== null) loadEnvironment(file);
  return {
    url,
    // The client refuses an empty key; a gateway without keys takes any.
    key: values.key ?? process.env.TOKENFERRY_KEY ?? process.env.OPENAI_API_KEY ?? 'none',
    model: values.model,
    embeddingModel: values['embedding-model'],
  };
}

/** The result of a check: a line of facts, then what users of applications will see. */
interface Finding<T> {
  readonly value: T;
  readonly facts: string;
  readonly verdicts?: readonly string[];
}

class Report {
  #failures = 0;

  async check<T>(name: string, run: () => Promise<Finding<T>>): Promise<T | null> {
    const startedMs = performance.now();
    try {
      const { value, facts, verdicts = [] } = await run();
      console.log(`ok    ${name}: ${facts} (${Math.round(performance.now() - startedMs)} ms)`);
      for (const verdict of verdicts) console.log(`      ${verdict}`);
      return value;
    } catch (error) {
      if (error instanceof Unsupported) this.skip(name, error.message);
      else this.fail(name, explain(error));
      return null;
    }
  }

  fail(name: string, why: string): void {
    this.#failures += 1;
    console.log(`FAIL  ${name}: ${why}`);
  }

  skip(name: string, why: string): void {
    console.log(`skip  ${name}: ${why}`);
  }

  conclude(): number {
    if (this.#failures === 0)
      console.log('\nRAGFlow, Dify and other OpenAI clients will work with this URL and key.');
    else console.log(`\n${this.#failures} of the checks failed; an application will show the same.`);
    return this.#failures === 0 ? 0 : 1;
  }
}

/** A response that applications cannot use, as opposed to an error of the client. */
class CheckFailure extends Error {}

/** What only some applications need, and this model does not have. */
class Unsupported extends Error {}

/** Statuses by which a server says that it does not have something. */
const UNSUPPORTED: ReadonlySet<number | undefined> = new Set([400, 404, 405, 422, 501]);

async function listModels(client: OpenAI): Promise<Finding<string[]>> {
  const ids: string[] = [];
  for await (const { id } of client.models.list()) ids.push(id);
  if (ids.length === 0)
    throw new CheckFailure('the list of models is empty; applications will have none to choose from');
  const shown = ids.slice(0, 8).join(', ') + (ids.length > 8 ? ', …' : '');
  return { value: ids, facts: `${ids.length} listed: ${shown}` };
}

/** What Dify sends when a model is added: no stream, `ping`, five tokens. */
async function askOnce(client: OpenAI, model: string): Promise<Finding<null>> {
  const response = await client.chat.completions.create({
    model,
    messages: [{ role: 'user', content: 'ping' }],
    max_tokens: 5,
    stream: false,
  });
  if (response.object !== 'chat.completion')
    throw new CheckFailure(`object is "${response.object}", Dify requires chat.completion`);
  const message = response.choices[0]?.message;
  if (message === undefined) throw new CheckFailure('the response has no choice');
  const tokens = response.usage === undefined ? 'no usage' : `${response.usage.total_tokens} tokens`;
  return {
    value: null,
    facts: `${model} says "${(message.content ?? '').slice(0, 60)}", ${tokens}`,
    verdicts: ['Dify will accept this model when it is added.'],
  };
}

/** What RAGFlow sends when a model is added, and what every chat window does: a stream, printed as it comes. */
async function streamOnce(client: OpenAI, model: string): Promise<Finding<null>> {
  const startedMs = performance.now();
  const stream = await client.chat.completions.create({
    model,
    messages: [{ role: 'user', content: 'Hi. Please answer in two or three sentences.' }],
    stream: true,
    stream_options: { include_usage: true },
  });
  let lastMs = startedMs;
  let firstTextMs: number | null = null;
  let isFinished = false;
  let hasContent = false;
  const gapsMs: number[] = [];
  console.log('      ms since the last chunk | text');
  for await (const chunk of stream) {
    const nowMs = performance.now();
    const [choice] = chunk.choices;
    isFinished ||= choice?.finish_reason != null;
    const text = choice?.delta.content ?? '';
    hasContent ||= text !== '';
    const shown = text !== '' ? text : reasoningIn(choice?.delta);
    if (shown === '') continue;
    if (firstTextMs === null) firstTextMs = nowMs - startedMs;
    else gapsMs.push(nowMs - lastMs);
    const line = `${text === '' ? '(reasoning) ' : ''}${JSON.stringify(shown).slice(1, -1)}`;
    console.log(`      ${(nowMs - lastMs).toFixed(0).padStart(6)} | ${line}`);
    lastMs = nowMs;
  }
  if (firstTextMs === null)
    throw new CheckFailure('the stream had no text; applications show an empty message');
  if (!hasContent)
    throw new CheckFailure('the stream had reasoning and no content; applications show an empty message');
  if (!isFinished)
    throw new CheckFailure(
      'the stream ended without a finish_reason; Vercel AI SDK and RAGFlow report that as an error',
    );
  const times: StreamTimes = { firstTextMs, gapsMs };
  const late = slowFirstText(times);
  if (late !== null) throw new CheckFailure(late);
  return {
    value: null,
    facts: `first text after ${Math.round(firstTextMs)} ms, ${gapsMs.length + 1} chunks`,
    verdicts: ['RAGFlow will accept this model when it is added.', describeStream(times)],
  };
}

const ASKED_TIME = 'What time does the ferry leave? Call the function.';
const TIME_FUNCTION = {
  name: 'get_departure',
  description: 'The time of the next ferry.',
  parameters: { type: 'object', properties: { pier: { type: 'string' } }, required: ['pier'] },
} as const;

/** What agents and workflows with tools send. */
async function callTool(client: OpenAI, model: string): Promise<Finding<null>> {
  const response = await client.chat.completions
    .create({
      model,
      messages: [{ role: 'user', content: ASKED_TIME }],
      tools: [{ type: 'function', function: TIME_FUNCTION }],
    })
    .catch((error: unknown) => {
      throw asUnsupported(error, 'agents and workflows with tools will not work with this model');
    });
  const [call] = response.choices[0]?.message.tool_calls ?? [];
  if (call === undefined)
    throw new Unsupported('the model answered with text; agents may not work with this model');
  if (call.type !== 'function') throw new CheckFailure(`the call is of type "${call.type}"`);
  const { name, arguments: args } = call.function;
  if (parseJson(args) === undefined)
    throw new CheckFailure(
      `the arguments of the call are not JSON; agents report that as an error: ${args.slice(0, 60)}`,
    );
  return {
    value: null,
    facts: `${model} calls ${name}(${args})`,
    verdicts: ['Agents will work with this model.'],
  };
}

/** What Codex and the Agents SDK send: the Responses API with a function, as a stream. */
async function respondOnce(client: OpenAI, model: string): Promise<Finding<null>> {
  const stream = await client.responses
    .create({
      model,
      input: [
        { role: 'developer', content: 'You help travellers.' },
        { role: 'user', content: ASKED_TIME },
      ],
      tools: [{ type: 'function', strict: false, ...TIME_FUNCTION }],
      store: false,
      stream: true,
    })
    .catch((error: unknown) => {
      throw asUnsupported(error, 'Codex and the Agents SDK will not work with this model');
    });
  let last: string | undefined;
  let items: readonly { readonly type: string }[] = [];
  for await (const event of stream) {
    last = event.type;
    if (event.type === 'response.failed')
      throw new CheckFailure(`the response failed: ${event.response.error?.message ?? 'no reason is given'}`);
    if (event.type === 'response.completed' || event.type === 'response.incomplete')
      items = event.response.output;
  }
  if (last === undefined)
    throw new Unsupported(
      'the answer is not in the form of the Responses API; Codex and the Agents SDK will not work with this model',
    );
  if (items.length === 0)
    throw new CheckFailure(
      `the stream ended with ${last} and without output; Codex shows "stream disconnected before completion"`,
    );
  const hasCall = items.some(({ type }) => type === 'function_call');
  const verdict = hasCall
    ? 'Codex will work with this model (wire_api = "responses").'
    : 'Codex will show the answers of this model; it called no function, so it may not change files.';
  return { value: null, facts: items.map(({ type }) => type).join(', '), verdicts: [verdict] };
}

/** A refusal of what only some applications need is no fault of the gateway. */
function asUnsupported(error: unknown, consequence: string): unknown {
  if (!(error instanceof APIError) || !UNSUPPORTED.has(error.status)) return error;
  return new Unsupported(`${error.message.replace(/\.$/, '')}; ${consequence}`);
}

/** The reasoning in a chunk, which RAGFlow and Dify show as well; the client's types do not have it. */
function reasoningIn(delta: unknown): string {
  const { reasoning_content: thought } = (delta ?? {}) as { readonly reasoning_content?: unknown };
  return typeof thought === 'string' ? thought : '';
}

/** What both send for a knowledge base: two texts, as floats. */
async function embedOnce(client: OpenAI, model: string): Promise<Finding<null>> {
  const response = await client.embeddings.create({
    model,
    input: ['Test if the api key is available', 'a second text'],
    encoding_format: 'float',
  });
  if (response.data.length !== 2)
    throw new CheckFailure(`2 texts gave ${counted(response.data.length, 'vector')}`);
  const [first, second] = response.data.map(({ embedding }) => embedding.length);
  if (first === 0 || first !== second)
    throw new CheckFailure(`the vectors have ${first} and ${second} dimensions`);
  if (typeof response.usage?.total_tokens !== 'number')
    throw new CheckFailure('no usage.total_tokens; Dify and RAGFlow read it');
  return {
    value: null,
    facts: `${model} makes vectors of ${first} dimensions`,
    verdicts: [`Create knowledge bases with ${first} dimensions; RAGFlow and Dify detect that themselves.`],
  };
}

/** The error of the client as a sentence: what failed, why, what to do. */
function explain(error: unknown): string {
  if (error instanceof CheckFailure) return error.message;
  if (error instanceof APIConnectionError) {
    const cause = error.cause instanceof Error ? `: ${innermost(error.cause).message}` : '';
    return `no connection to this URL${cause}. Check that the gateway is running and that the address is right.`;
  }
  if (error instanceof APIError) {
    const code = error.code === null || error.code === undefined ? '' : ` (${error.code})`;
    return `${error.message.replace(/\.$/, '')}${code}${hintFor(error.status)}`;
  }
  return error instanceof Error ? error.message : String(error);
}

function innermost(error: Error): Error {
  let inner = error;
  while (inner.cause instanceof Error) inner = inner.cause;
  return inner;
}

function hintFor(status: number | undefined): string {
  if (status === 401) return '. The key is not one of the gateway’s client keys: see --key.';
  if (status === 404) return '. Does the URL end in /v1, and is the model’s name right?';
  if (status === 502 || status === 503 || status === 504) {
    return '. The gateway runs but its upstream or issuer does not: see its log, or `tokenferry check`.';
  }
  return '';
}

/** When the text of one stream came. Milliseconds. */
export interface StreamTimes {
  /** From the request to the first non-empty text. */
  readonly firstTextMs: number;
  /** Between each text and the one before it. */
  readonly gapsMs: readonly number[];
}

/** RAGFlow's budget for the first text when a model is added (`LLM_TIMEOUT_SECONDS`). */
const RAGFLOW_FIRST_TEXT_MS = 10_000;

/** Chunks closer than this left the gateway in one burst. */
const BURST_MS = 3;

/** Fewer gaps have no meaningful median. */
const MIN_GAPS = 4;

/** Why RAGFlow would refuse the model; null when it would not. */
export function slowFirstText({ firstTextMs }: StreamTimes): string | null {
  if (firstTextMs <= RAGFLOW_FIRST_TEXT_MS) return null;
  return `the first text took ${(firstTextMs / 1000).toFixed(1)} s; RAGFlow gives up after 10 s when a model is added`;
}

/** What a person in front of a chat window sees. */
export function describeStream({ firstTextMs, gapsMs }: StreamTimes): string {
  const wait = firstTextMs < 1000 ? `${Math.round(firstTextMs)} ms` : `${(firstTextMs / 1000).toFixed(1)} s`;
  if (gapsMs.length < MIN_GAPS) return `A user waits ${wait} and sees the whole short answer at once.`;
  const sorted = gapsMs.toSorted((left, right) => left - right);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const longest = sorted.at(-1) ?? 0;
  const gaps = `one chunk every ${median.toFixed(0)} ms, the longest pause ${longest.toFixed(0)} ms`;
  if (sorted.filter((gap) => gap < BURST_MS).length > sorted.length * 0.9) {
    return `A user waits ${wait} and then sees everything at once: a proxy between the model and this client buffers the stream, or the model is very fast (${gaps}).`;
  }
  return `A user sees the first word after ${wait} and the text grow: ${gaps}.`;
}
