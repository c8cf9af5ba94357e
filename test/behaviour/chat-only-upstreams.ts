import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { Gateway } from '../helpers/gateway.ts';
import {
  chunkedHead,
  cutAfter,
  httpAnswer,
  httpChunk,
  type RawScript,
  RawUpstream,
  silent,
} from '../helpers/raw-upstream.ts';
import { type ReceivedRequest, StandInModel, type StandInOptions } from '../helpers/stand-in-model.ts';

/** What the stand-in model says. */
export const SAID = 'The ferry crosses the river every five minutes.';

/** Chunks of a chat as a server sends them; objects or texts. */
export const events = (...chunks: readonly unknown[]): string =>
  chunks.map((one) => `data: ${typeof one === 'string' ? one : JSON.stringify(one)}\n\n`).join('');

export const chunk = (delta: object, finish: string | null = null) => ({
  id: 'c',
  object: 'chat.completion.chunk',
  created: 1_763_000_000,
  model: 'up',
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
});

const ROLE = chunk({ role: 'assistant', content: '' });

/** The head of a stream and its first word, `Hel`. */
export const BEGUN = chunkedHead() + httpChunk(events(ROLE, chunk({ content: 'Hel' })));

/** Answers every request with these events. */
export const saying =
  (...chunks: readonly unknown[]) =>
  (_request: ReceivedRequest, response: ServerResponse): boolean => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(events(...chunks, '[DONE]'));
    return true;
  };

const WITHOUT_CONTENT = chunkedHead() + httpChunk(events(ROLE));

/** Fails by its status, by its end, by an error within its stream, and by silence. */
const FAILING: readonly RawScript[] = [
  cutAfter(httpAnswer('{}', { status: 503 }), 1_000),
  cutAfter(WITHOUT_CONTENT, WITHOUT_CONTENT.length, true),
  cutAfter(httpAnswer(events({ error: { message: 'out of memory', code: 'oom' } })), 1_000),
  silent,
];

/** Gateways in front of upstreams that are sent chats by their `profile`, for another API than the chat's. */
export class ChatOnlyUpstreams {
  readonly #profile: object;
  readonly #config: object;

  /** `config`: of every gateway. */
  constructor(profile: object, config: object) {
    this.#profile = profile;
    this.#config = config;
  }

  upstream(endpoint: string, name = 'chat', more: object = {}) {
    return { name, endpoint, sk: `key-of-${name}`, allow: ['m'], profile: this.#profile, ...more };
  }

  /** A gateway in front of one model. */
  async withModel(
    options: StandInOptions,
    use: (parts: { model: StandInModel; gateway: Gateway }) => Promise<void>,
    config: object = {},
  ): Promise<void> {
    await using model = await StandInModel.start(options);
    const upstreams = [this.upstream(model.url)];
    await using gateway = await Gateway.start({ ...this.#config, upstreams, ...config });
    await use({ model, gateway });
  }

  /** Each failure before the content leads to the next upstream. `textOf` reads what the stream of `ask` says. */
  async checkTakeOver(
    ask: (gateway: Gateway) => Promise<Response>,
    textOf: (stream: string) => string,
  ): Promise<void> {
    for (const script of FAILING) {
      await using bad = await RawUpstream.start(script);
      await using good = await StandInModel.start();
      await using gateway = await Gateway.start({
        ...this.#config,
        stream_timeout: '300ms',
        first_content_timeout: '300ms',
        upstreams: [this.upstream(bad.url, 'bad'), this.upstream(good.url, 'good')],
      });
      const reply = await ask(gateway);
      assert.equal(textOf(await reply.text()), SAID);
      assert.equal(reply.headers.get('x-tokenferry-upstream'), 'good');
      assert.equal(reply.headers.get('x-tokenferry-attempts'), '2');
    }
  }
}
