import type { SecretRegistry } from '../../lib/secret.ts';
import { headerOf, type IssuerReply, issuerNowMs } from '../issuer/issuer-client.ts';
import { issuerWords, severityOf } from '../issuer/issuer-refusal.ts';
import { describeBody, readAnswer } from '../issuer/issuer-response.ts';
import { parseRetryAfter } from '../issuer/retry-after.ts';
import { type SourceErrorSeverity, TokenSourceError } from './token-source.ts';

/**
 * How one source words its errors: always its name, then the field of the configuration that is concerned, then
 * what was met there: kinds, lengths and names, never a value.
 */
export class SourceVoice {
  readonly name: string;
  readonly #secrets: SecretRegistry;

  constructor(name: string, secrets: SecretRegistry) {
    this.name = name;
    this.#secrets = secrets;
  }

  /** `corp: token_url`: how a sentence about that field begins. */
  label(field: string): string {
    return `${this.name}: ${field}`;
  }

  error(
    field: string,
    what: string,
    severity: SourceErrorSeverity = 'transient',
    cause?: unknown,
  ): TokenSourceError {
    return new TokenSourceError(this.scrub(`${this.label(field)} ${what}`), { severity, cause });
  }

  /** A status that is no success: the issuer's words decide whether waiting helps. */
  refusal(field: string, reply: IssuerReply): TokenSourceError {
    const answer = readAnswer(reply);
    const json = answer.kind === 'json' || answer.kind === 'form' ? answer.value : undefined;
    const words = issuerWords(json, (text) => this.scrub(text));
    const what =
      reply.status >= 300 && reply.status < 400
        ? `answered with a redirect (status ${reply.status}), which is not followed`
        : `refused with status ${reply.status}${words === '' ? `: ${describeBody(reply, answer)}` : words}`;
    return new TokenSourceError(this.scrub(`${this.label(field)} ${what}`), {
      severity: severityOf(reply.status, json),
      retryAfterMs: parseRetryAfter(headerOf(reply, 'retry-after'), issuerNowMs(reply)),
    });
  }

  /** A success by its status and an error by its content: the old token is kept, the issuer asked again. */
  contradiction(field: string, reply: IssuerReply, json: unknown, what: string): TokenSourceError {
    const words = issuerWords(json, (text) => this.scrub(text));
    return new TokenSourceError(this.scrub(`${this.label(field)} ${what}${words}`), {
      // The status says success, so only a known code of the body can speak of credentials.
      severity: severityOf(200, json),
      retryAfterMs: parseRetryAfter(headerOf(reply, 'retry-after'), issuerNowMs(reply)),
    });
  }

  scrub(text: string): string {
    return this.#secrets.scrub(text);
  }
}
