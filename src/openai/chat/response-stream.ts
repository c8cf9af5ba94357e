import type { FerryError } from '../../lib/errors/ferry-error.ts';
import type { Usage } from '../usage/usage.ts';

/** An upstream's bytes on their way to the events that the client asked for. Pure: no sockets, no timers. */
export interface AnswerStream {
  /** Events that are complete so far, '' if none. Never throws for what an upstream sends. */
  push(bytes: Uint8Array): string;
  /** The upstream's body ended cleanly. Completes the events or sets `failure`. */
  end(): string;
  /** The last words to a client whose stream broke. */
  broken(error: FerryError): string;
  /** The usage of a stream that ends before its time. */
  settleUsage(): Usage | null;
  /** Non-empty text, reasoning, refusal or a tool call came from the upstream. */
  readonly hasContent: boolean;
  /** The last event was emitted: nothing more is read. */
  readonly isFinished: boolean;
  /** When the upstream is cut or silent from here on, `end()` completes the events. */
  readonly canEnd: boolean;
  readonly failure: FerryError | null;
  readonly usage: Usage | null;
  readonly isUsageEstimated: boolean;
}
