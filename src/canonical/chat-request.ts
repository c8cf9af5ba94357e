import type { Profile } from './profile.ts';

export type RequestKind = 'chat' | 'completions' | 'embeddings' | 'rerank';

/** A client's JSON request, checked; `text` and `body` are the client's own. */
export interface ReadRequest {
  readonly kind: RequestKind;
  /** The client's bytes without a byte order mark. */
  readonly body: Buffer;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly stream: boolean;
  /** True: the client asked for `stream_options.include_usage` on a stream. */
  readonly includeUsage: boolean;
  /** True: the request uses `functions` / `function_call`, so the answer must too. */
  readonly usesLegacyFunctions: boolean;
  readonly hasTools: boolean;
}

export interface Adaptation {
  readonly upstreamModel: string;
  readonly profile: Pick<Profile, 'dropParams' | 'renameParams' | 'roles' | 'alwaysStream'>;
  /** True: usage is needed even when the client did not ask for it. */
  readonly wantUsage: boolean;
  /** Parameters that this upstream refused lately; `max_tokens` and `max_completion_tokens` are renamed. */
  readonly learnedDrops: readonly string[];
  /** True: ask for a stream whatever the client asked. */
  readonly forceStream: boolean;
}

export interface AdaptedRequest {
  /** The client's own bytes when nothing had to change. */
  readonly body: Buffer;
  /** The client's parameters that are not sent because of the profile or `learnedDrops` (`x-tokenferry-dropped`). */
  readonly dropped: readonly string[];
  /** Whether the upstream is asked for a stream. */
  readonly stream: boolean;
}

/** Reads a request body; throws FerryError `invalid_json`, `invalid_request` or `missing_model`. */
export function readRequest(_body: Buffer, _kind: RequestKind): ReadRequest {
  throw new Error('not built yet');
}

/** What goes to the upstream: byte for byte the client's, but for the adaptations that product.md promise 5 names. */
export function adaptRequest(_request: ReadRequest, _adaptation: Adaptation): AdaptedRequest {
  throw new Error('not built yet');
}
