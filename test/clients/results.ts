import { fileURLToPath } from 'node:url';

/** What `docs/compatibility.md` is made from, beside the vectors themselves. */
export interface ClientResult {
  readonly client: string;
  readonly version: string;
  /** column → how many vectors it read, all of them right. */
  readonly columns: Readonly<Record<string, number>>;
  /** vector → what the client makes of it without the gateway, when that is wrong. */
  readonly unaided: Readonly<Record<string, string>>;
}

export const RESULTS = fileURLToPath(new URL('results', import.meta.url));
