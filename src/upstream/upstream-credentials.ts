import type { Secret } from '../lib/secret.ts';
import type { TokenManager } from '../tokens/manager/token-manager.ts';
import type { RejectionRules } from '../tokens/placement/rejection.ts';

/** Where an upstream's credentials come from. */
export type UpstreamCredentials =
  | { readonly kind: 'none' }
  /** A static key, sent as `Authorization: <scheme> <key>`. */
  | { readonly kind: 'key'; readonly key: Secret; readonly scheme: 'Bearer' | 'Token' }
  /** `sk: asis`: the client's own `Authorization` header. */
  | { readonly kind: 'as_is' }
  | {
      readonly kind: 'token';
      readonly manager: TokenManager;
      readonly reject: RejectionRules;
      /** The longest that a request waits for this token. */
      readonly maxWaitMs: number;
    };

export type TokenCredentials = Extract<UpstreamCredentials, { readonly kind: 'token' }>;
