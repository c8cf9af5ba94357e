import { parseRetryAfter } from '../../lib/net/retry-after.ts';
import { logExcerpt } from '../../lib/text/log-excerpt.ts';
import { headerOf, type IssuerResponse, issuerNowMs } from '../issuer/issuer-client.ts';
import {
  adviceWithKeys,
  assessError,
  describeBody,
  describeResponse,
  parseBody,
  quoteError,
} from '../issuer/issuer-response.ts';
import { type SourceErrorSeverity, TokenSourceError } from './token-source.ts';

/**
 * The errors of one source: `corp: token_url: what failed. What to do.` Name, setting, and what was found there: kinds,
 * lengths and names, never a value.
 */
export class SourceErrors {
  /** The source's name in the configuration. */
  readonly source: string;
  readonly #scrub: (text: string) => string;
  readonly #credentialKeys: readonly string[];

  /** `credentialKeys`: where in the configuration the source's credentials are. */
  constructor(
    source: string,
    secrets: { scrub(text: string): string },
    credentialKeys: readonly string[] = [],
  ) {
    this.source = source;
    this.#credentialKeys = credentialKeys;
    this.#scrub = (text) => secrets.scrub(text);
  }

  /** An error that may be gone at the next attempt. */
  transient(field: string, what: string, cause?: unknown): TokenSourceError {
    return this.#error(field, what, { severity: 'transient', cause });
  }

  /** An error that persists until the configuration, the credentials or a file change. */
  misconfigured(field: string, what: string): TokenSourceError {
    return this.#error(field, what, { severity: 'credentials' });
  }

  /** A status other than success: the issuer's code decides whether waiting helps. */
  refused(field: string, response: IssuerResponse): TokenSourceError {
    const body = parseBody(response);
    const json = body.kind === 'json' || body.kind === 'form' ? body.value : undefined;
    const { status } = response;
    if (status >= 300 && status < 400) {
      const advice = 'Configure the final URL.';
      return this.#ofIssuer(field, response, json, `redirect (status ${status}) not followed`, { advice });
    }
    const quoted = this.quoteError(json);
    const found = quoted === '' ? `: ${describeBody(response, body)}` : quoted;
    // The URL of an `http` source is right when the issuer behind it rejects the credentials.
    const isAboutUrl = assessError(status, json).severity === 'transient' || URL_STATUSES.has(status);
    const place = field === 'url' && !isAboutUrl ? null : field;
    return this.#ofIssuer(place, response, json, `refused with status ${status}${found}`);
  }

  /** A response that the setting `denied` matches. */
  denied(response: IssuerResponse, json: unknown): TokenSourceError {
    const what = `credentials refused with status ${response.status}${this.quoteError(json)}`;
    const assessment = { severity: 'credentials', advice: 'Check the credentials.' } as const;
    return this.#ofIssuer('denied', response, json, what, assessment);
  }

  /** Success by its status and an error by its content: the old token is kept and the acquisition retried. */
  unusable(field: string, response: IssuerResponse, json: unknown, what: string): TokenSourceError {
    // The status is success, so only a known code of the body can be about credentials.
    const assessment = assessError(200, json);
    return this.#ofIssuer(field, response, json, `${what}${this.quoteError(json)}`, assessment);
  }

  /** The body is of no type that can contain a token. */
  notJson(field: string, response: IssuerResponse): TokenSourceError {
    const found = describeResponse(response, parseBody(response));
    return this.transient(field, `unrecognised response: ${found}; expected JSON. Check the URL.`);
  }

  /** The issuer's own code and message: ` (invalid_client: "unknown client")`, or nothing. */
  quoteError(json: unknown): string {
    return quoteError(json, this.#scrub);
  }

  /** Foreign text on one line without secrets; of a program the end, where the reason is. */
  quote(text: string, keep: 'beginning' | 'end' = 'beginning'): string {
    return logExcerpt(text, this.#scrub, keep);
  }

  #ofIssuer(
    field: string | null,
    response: IssuerResponse,
    json: unknown,
    what: string,
    known: { readonly severity?: SourceErrorSeverity; readonly advice?: string } = {},
  ): TokenSourceError {
    const { severity, advice } = { ...assessError(response.status, json), ...known };
    const whatToDo = adviceWithKeys(advice, this.#credentialKeys) || this.#credentialsHint(response, json);
    const sentences = [describeSkew(response), whatToDo].filter((sentence) => sentence !== '');
    return this.#error(field, [what, ...sentences].join('. '), {
      severity,
      retryAfterMs: parseRetryAfter(headerOf(response, 'retry-after'), issuerNowMs(response)),
    });
  }

  /** An error that only its words say to be about the credentials is retried as any other, but they are named. */
  #credentialsHint({ status }: IssuerResponse, json: unknown): string {
    const isTheirs = status < 500 && CREDENTIAL_WORDS.test(this.quoteError(json));
    if (!isTheirs || this.#credentialKeys.length === 0) return '';
    return adviceWithKeys('Check the credentials if this is about them.', this.#credentialKeys);
  }

  #error(
    field: string | null,
    what: string,
    facts: {
      readonly severity: SourceErrorSeverity;
      readonly retryAfterMs?: number | undefined;
      readonly cause?: unknown;
    },
  ): TokenSourceError {
    const place = field === null ? '' : `${field}: `;
    return new TokenSourceError(this.#scrub(`${this.source}: ${place}${what}`), facts);
  }
}

/** Statuses that are about the URL and not about what was sent to it. */
const URL_STATUSES: ReadonlySet<number> = new Set([404, 405, 410]);

const CREDENTIAL_WORDS =
  /secret|passw|credential|app ?_?(?:key|id)|api ?_?key|client|account|unauthori[sz]ed|authenticat|denied|forbidden|sign/i;

/** Issuers that sign with a timestamp accept 300 s, strict ones less; smaller differences are network and rounding. */
const MIN_SKEW_MS = 30_000;

/** A clock that is off, beside an error that it may have caused (`timestamp out of range`); empty when it is not. */
function describeSkew({ serverDateWallMs, sentWallMs, receivedWallMs }: IssuerResponse): string {
  if (serverDateWallMs === undefined) return '';
  const skewMs = (sentWallMs + receivedWallMs) / 2 - serverDateWallMs;
  if (Math.abs(skewMs) < MIN_SKEW_MS) return '';
  const seconds = Math.round(Math.abs(skewMs) / 1000);
  const span = seconds < 600 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  return `This machine's clock is ${span} ${skewMs > 0 ? 'ahead of' : 'behind'} the issuer's: check both clocks`;
}
