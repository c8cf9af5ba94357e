import type { AnswerName, Json } from './answers.ts';

/** How one answer reaches the gateway. Everything but `name`, `quirks` and `answer` has a default. */
export interface Vector {
  /** Also the model by which a client asks for it. */
  readonly name: string;
  /** Q numbers that it shows. */
  readonly quirks: readonly string[];
  readonly answer: AnswerName;
  /** What becomes of the canonical chunks; usage is among them when it was asked for. */
  readonly chunks?: (chunks: Json[], ask: Ask) => readonly unknown[];
  /** How the chunks become text; by default events of `data: ` and a blank line, with `[DONE]`. */
  readonly text?: (chunks: readonly unknown[], ask: Ask, whole: Json) => string;
  /** In place of `text` for a request without `stream`; by default OpenAI's own reply, bent by `reply`. */
  readonly whole?: (reply: Json, ask: Ask) => string;
  /** How the text becomes the bytes of the body; UTF-8 by default. */
  readonly bytes?: (text: string) => Uint8Array;
  readonly contentType?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes of each write; all at once by default. */
  readonly segment?: number;
  /** The upstream keeps the socket open after its last byte. */
  readonly staysOpen?: boolean;
  /** Ends the body with its length or with the end of the connection instead of the last chunk. */
  readonly ending?: 'length' | 'close';
  /** True: the ids of the calls are not the upstream's. */
  readonly ownIds?: boolean;
  /** True: the counts are not the upstream's. */
  readonly ownUsage?: boolean;
  /** Needs an upstream with this profile. */
  readonly profile?: Json;
  /** A request without `stream` is refused, or one with it. */
  readonly only?: 'streams' | 'wholes';
}

/** What of the request matters to the way it is answered. */
export interface Ask {
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

/** An upstream's failure, and what every client must be told. */
export interface FaultVector {
  readonly name: string;
  readonly quirks: readonly string[];
  /** Status and body of the upstream; the body of a stream is sent as an event stream. */
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: (ask: Ask) => string;
  /** The body is cut here by a reset connection. */
  readonly isReset?: boolean;
  /** What the client gets instead of an answer; `status` null: the error comes within the stream. */
  readonly expect: {
    readonly status: number | null;
    readonly code: string | null;
    readonly says: RegExp;
    /** Text that was told before. */
    readonly text?: string;
  };
  /** Only for streams, only for whole replies, or both. */
  readonly only?: 'stream' | 'whole';
}

export function sse(chunks: readonly unknown[]): string {
  return [...chunks.map(jsonOf), '[DONE]'].map((data) => `data: ${data}\n\n`).join('');
}

/** Texts are taken as they are. */
export function jsonOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
