import { logExcerpt } from '../../lib/text/log-excerpt.ts';
import { headerOf, type IssuerResponse, issuerNowMs } from '../issuer/issuer-client.ts';
import {
  assessError,
  describeBody,
  describeResponse,
  parseBody,
  quoteError,
} from '../issuer/issuer-response.ts';
import { parseRetryAfter } from '../issuer/retry-after.ts';
import { type SourceErrorSeverity, TokenSourceError } from './token-source.ts';

/**
 * The errors of one source: `corp: token_url: what failed. What to do.` Name, setting, and what was found there: kinds,
 * lengths and names, never a value.
 */
export class SourceErrors {
  /** The source's name in the configuration. */
  readonly source: string;
  readonly #scrub: (text: string) => string;

  constructor(source: string, secrets: { scrub(text: string): string }) {
    this.source = source;
    this.#scrub = (text) => secrets.scrub(text);
  }

  /** An error that may be gone at the next attempt. */
  transient(field: string, what: string, cause?: unknown): TokenSourceError {
    return this.#error(field, what, { severity: 'transient', cause });
  }

  /** An error that stays until somebody changes the configuration, the credentials or a file. */
  misconfigured(field: string, what: string): TokenSourceError {
    return this.#error(field, what, { severity: 'credentials' });
  }

  /** A status other than success: the issuer's code decides whether waiting helps. */
  refused(field: string, response: IssuerResponse): TokenSourceError {
    const body = parseBody(response);
    const json = body.kind === 'json' || body.kind === 'form' ? body.value : undefined;
    const { status } = response;
    if (status >= 300 && status < 400)
      return this.#ofIssuer(field, `redirect (status ${status}) not followed. Configure the final URL.`, {
        response,
        json,
      });
    const quoted = this.quoteError(json);
    const what = `refused with status ${status}${quoted === '' ? `: ${describeBody(response, body)}` : quoted}`;
    return this.#ofIssuer(field, what, { response, json });
  }

  /** Success by its status and an error by its content: the old token is kept, the issuer asked again. */
  unusable(field: string, response: IssuerResponse, json: unknown, what: string): TokenSourceError {
    // The status says success, so only a known code of the body can be about credentials.
    return this.#ofIssuer(field, `${what}${this.quoteError(json)}`, {
      response: { ...response, status: 200 },
      json,
    });
  }

  /** The body is none of the kinds that can hold a token. */
  notJson(field: string, response: IssuerResponse): TokenSourceError {
    const found = describeResponse(response, parseBody(response));
    return this.transient(field, `unrecognised response: ${found}; expected JSON. Check the URL.`);
  }

  /** The issuer's own code and message: ` (invalid_client: "unknown client")`, or nothing. */
  quoteError(json: unknown): string {
    return quoteError(json, this.#scrub);
  }

  /** Foreign text on one line without secrets; of a program the end, where the reason stands. */
  quote(text: string, keep: 'beginning' | 'end' = 'beginning'): string {
    return logExcerpt(text, this.#scrub, keep);
  }

  #ofIssuer(
    field: string,
    what: string,
    { response, json }: { readonly response: IssuerResponse; readonly json: unknown },
  ): TokenSourceError {
    const { severity, advice } = assessError(response.status, json);
    return this.#error(field, advice === '' ? what : `${what}. ${advice}`, {
      severity,
      retryAfterMs: parseRetryAfter(headerOf(response, 'retry-after'), issuerNowMs(response)),
    });
  }

  #error(
    field: string,
    what: string,
    facts: {
      readonly severity: SourceErrorSeverity;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    },
  ): TokenSourceError {
    return new TokenSourceError(this.#scrub(`${this.source}: ${field}: ${what}`), facts);
  }
}
