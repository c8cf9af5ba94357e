import type { Secret } from '../../../lib/secret.ts';
import type { ExpiresAtSettings } from '../http/http-settings.ts';

/** What a command prints. `auto` looks at it; `text` is the bare token; the others are known forms of JSON. */
export type ExecFormat = 'auto' | 'text' | 'json' | 'exec_credential' | 'az' | 'gcloud' | 'gcp_executable';

/** A token that a program prints. No shell is involved: write `[sh, -c, "..."]` to have one. */
export interface ExecSettings {
  readonly type: 'exec';
  readonly command: readonly string[];
  /** 30 s by default. After it the program and all that it started are killed. */
  readonly timeoutMs?: number;
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string | Secret>>;
  readonly cwd?: string;
  readonly format?: ExecFormat;
  /** JSON pointer to the token, for `json`. */
  readonly tokenAt?: string;
  /** Where its end stands in the JSON; `header` has no meaning here. */
  readonly expiresAt?: ExpiresAtSettings;
}
