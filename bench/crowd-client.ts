import type { Agent, Dispatcher } from 'undici';
import { CLIENT_KEY } from './gateway-under-load.ts';

/** Words that name their stream, so that one in another stream is seen. */
export function wordsOfStream(name: string, count: number): string {
  return Array.from({ length: count }, (_, at) => `${name}:${at}`).join(' ');
}

export interface StreamOrder {
  readonly name: string;
  /** The number of words that the model sends. */
  readonly words: number;
  /** The client goes away after so many milliseconds; null: it stays. */
  readonly leavesAfterMs: number | null;
}

export interface StreamResult {
  /** Events that the client read. */
  readonly events: number;
  readonly hasLeft: boolean;
  /** The error; null: the stream had its own words, all of them unless its client disconnected. */
  readonly fault: string | null;
}

const EVENT = /^data: (.*)\n$/;

/** Reads one stream as it comes and judges it. Never rejects. */
export function listen(agent: Agent, origin: string, order: StreamOrder): Promise<StreamResult> {
  return new Promise((resolve) => {
    const listener = new Listener(order, resolve);
    const body = JSON.stringify({
      model: 'm',
      stream: true,
      messages: [{ role: 'user', content: JSON.stringify({ name: order.name, words: order.words }) }],
    });
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${CLIENT_KEY}` };
    agent.dispatch({ origin, path: '/v1/chat/completions', method: 'POST', headers, body }, listener);
  });
}

class Listener implements Dispatcher.DispatchHandler {
  readonly #order: StreamOrder;
  readonly #resolve: (result: StreamResult) => void;
  readonly #expected: string;
  #leaving: NodeJS.Timeout | null = null;
  #hasLeft = false;
  #status = 0;
  #text = '';
  /** The part of an event that has come. */
  #rest = '';
  #isDone = false;
  #events = 0;

  constructor(order: StreamOrder, resolve: (result: StreamResult) => void) {
    this.#order = order;
    this.#resolve = resolve;
    this.#expected = wordsOfStream(order.name, order.words);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    const { leavesAfterMs } = this.#order;
    if (leavesAfterMs === null) return;
    this.#leaving = setTimeout(() => {
      this.#hasLeft = true;
      controller.abort(new Error('the client leaves'));
    }, leavesAfterMs);
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number): void {
    this.#status = status;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const events = (this.#rest + chunk.toString('utf8')).split('\n\n');
    this.#rest = events.pop() ?? '';
    this.#events += events.length;
    for (const event of events) this.#read(`${event}\n`);
  }

  onResponseEnd(): void {
    this.#settle(this.#isDone && this.#text === this.#expected ? null : 'the stream is not whole');
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#settle(this.#hasLeft ? null : String(error));
  }

  #read(event: string): void {
    if (event.startsWith(':')) return;
    const data = EVENT.exec(event)?.[1] ?? '';
    if (data === '[DONE]') {
      this.#isDone = true;
      return;
    }
    const { choices } = JSON.parse(data) as { choices: { delta: { content?: string } }[] };
    this.#text += choices[0]?.delta.content ?? '';
  }

  #settle(fault: string | null): void {
    if (this.#leaving !== null) clearTimeout(this.#leaving);
    const isOwn = this.#expected.startsWith(this.#text);
    const foreign = isOwn ? null : `words of another stream: …${this.#text.slice(-80)}`;
    const statusFault = this.#status === 200 || this.#hasLeft ? null : `status ${this.#status}`;
    this.#resolve({ events: this.#events, hasLeft: this.#hasLeft, fault: foreign ?? statusFault ?? fault });
  }
}
