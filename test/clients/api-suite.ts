import assert from 'node:assert/strict';
import { ANSWERS, type Json, USAGE } from './answers.ts';
import type { Client } from './clients.ts';
import { CLIENT_KEY, type Ferry, startFerry } from './ferry.ts';
import { judgeAnswer, judgeFault } from './judge.ts';
import type { Reading, Report, Task } from './protocol.ts';
import { runClient } from './run-client.ts';
import type { FaultVector, Vector } from './vector.ts';
import { FAULT_VECTORS, STREAM_VECTORS, WHOLE_VECTORS } from './vectors.ts';

/** A client of another API than the chat's, and how it reads what upstreams that only chat send. */
export interface ApiClient {
  readonly client: Client;
  /** Its ways to read a stream. */
  readonly streams: readonly string[];
  /** Its own words for the ends. */
  readonly finish: Readonly<Record<'stop' | 'tool_calls' | 'length', string>>;
}

interface ApiSuiteOptions {
  /** Of the upstream. */
  readonly profile: Json;
  /** Default: every vector. */
  readonly isReadable?: (vector: Vector) => boolean;
  /** The status of an error in this API, for that of a chat. Default: the same. */
  readonly statusOf?: (status: number | null) => number | null;
}

const TURN_ANSWERS = ['text', 'reasoning', 'textAndCall', 'calls'] as const;
type TurnAnswer = (typeof TURN_ANSWERS)[number];

/** What the upstream was sent of the model's turn before. */
type Told = Json & { readonly tool_calls?: readonly Json[] };

/** Clients of another API than the chat's in front of every kind of upstream that only chats. */
export class ApiSuite {
  readonly #options: ApiSuiteOptions;
  #ferry: Ferry | null = null;

  constructor(options: ApiSuiteOptions) {
    this.#options = options;
  }

  get ferry(): Ferry {
    assert.ok(this.#ferry !== null, 'started');
    return this.#ferry;
  }

  async start(): Promise<void> {
    this.#ferry = await startFerry(this.#options.profile);
  }

  async close(): Promise<void> {
    await this.#ferry?.close();
  }

  taskFor(way: string, model: string, more: Partial<Task> = {}): Task {
    const base = { url: `${this.ferry.gatewayUrl}/v1`, key: CLIENT_KEY, includeUsage: true, tools: false };
    return { id: `${way} ${model}`, way, model, ...base, ...more };
  }

  /** The vectors that one of its ways reads wrongly, and what is wrong. */
  async wrongReadings(one: ApiClient): Promise<string[]> {
    const { isReadable = () => true } = this.#options;
    const chats = [
      ...one.streams.flatMap((way) => STREAM_VECTORS.filter(isReadable).map((vector) => ({ way, vector }))),
      ...WHOLE_VECTORS.filter(isReadable).map((vector) => ({ way: 'whole', vector })),
    ];
    const faults = [...one.streams, 'whole'].flatMap((way) =>
      FAULT_VECTORS.filter(({ only = way }) => (only === 'whole') === (way === 'whole')).map((fault) => ({
        way,
        fault,
      })),
    );
    const tasks = [
      ...chats.map(({ way, vector }) =>
        this.taskFor(way, vector.name, { tools: ANSWERS[vector.answer].calls.length > 0 }),
      ),
      ...faults.map(({ way, fault }) => this.taskFor(way, fault.name)),
    ];
    const reports = await runClient(one.client, tasks);
    const of = (way: string, model: string) => reports.get(`${way} ${model}`) as Report;
    const verdicts = [
      ...chats.map(({ way, vector }) => {
        const reading = of(way, vector.name);
        return [way, vector.name, judgeAnswer(vector, reading, expectedOf(vector, one))] as const;
      }),
      ...faults.map(
        ({ way, fault }) => [way, fault.name, judgeFault(this.#faultOf(fault), of(way, fault.name))] as const,
      ),
    ];
    return verdicts.flatMap(([way, name, wrong]) => (wrong === null ? [] : [`${way} ${name}: ${wrong}`]));
  }

  /**
   * A second turn by each kind of answer: the upstream gets the answer of the first again, and the results right behind their
   * calls. `check` looks at what else it is told of it.
   */
  async checkTurns(
    client: Client,
    way: string,
    check: (told: Told, answer: TurnAnswer) => void = () => undefined,
  ): Promise<void> {
    const tasks = TURN_ANSWERS.map((answer) => this.taskFor(way, `canonical-${answer}`));
    const reports = await runClient(client, tasks);
    for (const answer of TURN_ANSWERS) {
      const model = `canonical-${answer}`;
      assert.equal(reports.get(`${way} ${model}`)?.error, null, model);
      const { text, calls } = ANSWERS[answer];
      const { messages } = this.ferry.upstream.seen.findLast(({ body }) => body.model === model)?.body ?? {};
      const [question, told, ...rest] = messages as Told[];
      assert.equal(question?.role, 'user');
      assert.equal(told?.role, 'assistant', model);
      assert.equal(told.content ?? '', text.join(''), `${model}: what was said before is told again`);
      check(told, answer);
      const ids = calls.map(({ id }) => id);
      assert.deepEqual(
        (told.tool_calls ?? []).map(({ id }) => id),
        ids,
        model,
      );
      assert.deepEqual(
        rest.map(({ role, tool_call_id: id }) => [role, id ?? null]),
        [...ids.map((id) => ['tool', id]), ['user', null]],
        model,
      );
    }
  }

  #faultOf({ expect }: FaultVector): FaultVector['expect'] {
    const { statusOf = (status) => status } = this.#options;
    return { ...expect, status: statusOf(expect.status) };
  }
}

/** What every client has to read, in its own words for the end. */
function expectedOf({ answer }: Vector, { finish: words }: ApiClient): Reading {
  const { text, reasoning, calls, finish } = ANSWERS[answer];
  return {
    text: text.join(''),
    reasoning: reasoning.join(''),
    calls: calls.map(({ id, name, arguments: pieces }) => ({ id, name, arguments: pieces.join('') })),
    finish: words[finish],
    usage: [{ prompt: USAGE.prompt_tokens, completion: USAGE.completion_tokens, total: USAGE.total_tokens }],
    value: null,
    error: null,
  };
}
