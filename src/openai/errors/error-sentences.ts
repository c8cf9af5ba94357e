import type { ErrorKind } from '../../lib/errors/ferry-error.ts';
import { isSchemaUnsupported } from './error-wording.ts';

interface SentenceFacts {
  readonly model: string | null;
  readonly path: string;
  /** The status of the failure: the answer's own, or the one that a 200's error implies. */
  readonly status: number;
  /** The status on the wire. */
  readonly upstreamStatus: number;
  /** What the upstream said, cleaned, at length; '' when it said nothing. */
  readonly words: string;
  /** The same as a short quote without any host. */
  readonly excerpt: string;
}

/**
 * The text for the client. Errors of the client's own making speak the upstream's words; all others ours, with a
 * quote where it helps. Ours for 400 and 404 avoid the words by which RAGFlow sorts errors (S90).
 */
export function sentenceFor(kind: ErrorKind, facts: SentenceFacts): string {
  const { model, status, words } = facts;
  const quote = facts.excerpt === '' ? '.' : `: ${facts.excerpt}`;
  switch (kind) {
    case 'client_fault':
    case 'content_filtered':
      return withSchemaWords(words) || `The upstream refused the request with status ${status}.`;
    case 'context_overflow':
      return withOverflowWords(words);
    case 'model_not_found':
      return `The model${model === null ? '' : ` '${model}'`} does not exist or is not offered here.`;
    case 'rate_limited':
      return `The upstream's rate limit is reached${quote}`;
    case 'quota_exhausted':
      return `The upstream's quota is used up${quote}`;
    case 'auth_rejected':
      return `The upstream refused the credentials that the gateway holds for it (status ${statusOr(401, facts)}). They are not the client's.`;
    case 'forbidden':
      return `The upstream does not permit this to the credentials that the gateway holds for it (status ${statusOr(403, facts)}).`;
    case 'path_not_found':
      return `The upstream does not know the path for ${facts.path}; its configured endpoint is probably wrong (a missing or a doubled /v1).`;
    case 'redirect':
      return `The upstream returned a redirect (${status}), which leads away from its own origin.`;
    default:
      return facts.upstreamStatus === 200
        ? `The upstream reported an error${quote}`
        : `The upstream returned status ${status}${quote}`;
  }
}

/** RAGFlow knows an authentication error by its number too, which an error inside of a 200 lacks. */
function statusOr(usual: number, { upstreamStatus }: SentenceFacts): number {
  return upstreamStatus === 200 ? usual : upstreamStatus;
}

/** LangChain and LobeChat look for these words (S88). */
function withOverflowWords(message: string): string {
  if (/maximum context length/i.test(message)) return message;
  return `The request is longer than the model's maximum context length${message === '' ? '.' : `: ${message}`}`;
}

/** LangChain falls back to another way of structured output when it reads these words (S91). */
function withSchemaWords(message: string): string {
  const words = "'response_format' of type 'json_schema' is not supported with this model";
  return isSchemaUnsupported(message) && !message.includes(words) ? `${words}: ${message}` : message;
}
