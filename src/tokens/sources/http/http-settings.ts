import type { Secret } from '../../../lib/secret.ts';
import type { ExpiryMeaning, ExpiryUnit } from '../../expiry/expiry.ts';
import type { ProxySetting } from '../../issuer/issuer-dispatcher.ts';
import type { TlsSettings } from '../../issuer/issuer-tls.ts';
import type { TemplateJson } from '../../template/template.ts';

/** When an answer is a success: its status, and values at JSON pointers. A list means "one of these". */
export interface SuccessSettings {
  /** 200 to 299 by default. */
  readonly status?: number | readonly number[];
  readonly json?: Readonly<Record<string, SuccessValue | readonly SuccessValue[]>>;
}

export type SuccessValue = string | number | boolean | null;

/** Where the end of the token's life stands: a JSON pointer or a header, not both. */
export interface ExpiresAtSettings {
  readonly pointer?: string;
  readonly header?: string;
  /** `jwt`: only what the token itself says. By default the size and shape of the value decide. */
  readonly as?: ExpiryMeaning | 'jwt';
  readonly unit?: ExpiryUnit;
}

/** A token request of any shape, declared. Every text may be a template but the origin of `url`. */
export interface HttpSettings {
  readonly type: 'http';
  readonly url: string;
  /** POST with a body and GET without one by default. */
  readonly method?: string;
  readonly query?: Readonly<Record<string, string | number | Secret>>;
  readonly headers?: Readonly<Record<string, string | number | Secret>>;
  /** At most one of the three. */
  readonly bodyJson?: TemplateJson;
  readonly bodyForm?: Readonly<Record<string, string | number | Secret>>;
  readonly bodyText?: string | Secret;
  /** Names for templates. A `Secret` is taken as it is, a text may be a template itself. */
  readonly vars?: Readonly<Record<string, string | number | Secret>>;
  /** HTTP Basic: `user:password`. */
  readonly basic?: { readonly username: string; readonly password: Secret };
  /** Another source whose token templates know as `token`. */
  readonly token?: string;
  readonly success?: SuccessSettings;
  /** When an answer means that our credentials are wrong: asked again slowly, lest the account gets locked. */
  readonly denied?: SuccessSettings;
  /** JSON pointer | `header:NAME` | `cookie:NAME` | `regex:PATTERN` (first group) | `form:NAME` | `body`. */
  readonly tokenAt: string;
  readonly expiresAt?: ExpiresAtSettings;
  /** JSON pointer to the seconds after which the issuer wants to be asked again. */
  readonly refreshIn?: string;
  /** Added to query (`in: query`) or body (`in: body`) only when a fresh token is a must. */
  readonly force?: {
    readonly in: 'query' | 'body';
    readonly name: string;
    readonly value: string | number | boolean;
  };
  /** Further values of the answer that placements can name: name to JSON pointer. */
  readonly extra?: Readonly<Record<string, string>>;
  readonly tls?: TlsSettings;
  readonly proxy?: ProxySetting;
}
