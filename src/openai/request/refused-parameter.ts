import type { FerryError } from '../../lib/errors/ferry-error.ts';
import type { ParsedRequest } from './parsed-request.ts';

/** Left out when an upstream refuses it: the response is still the one that was requested. */
const DROPPABLE: ReadonlySet<string> = new Set([
  'stream_options',
  'parallel_tool_calls',
  'user',
  'metadata',
  'store',
  'logprobs',
  'seed',
  'service_tier',
  'frequency_penalty',
  'presence_penalty',
  // Set by the gateway on embeddings; floats are the default anyway (S110).
  'encoding_format',
]);

/** Sent under the other name when refused, never dropped. */
const RENAMED: Readonly<Record<string, string>> = {
  max_tokens: 'max_completion_tokens',
  max_completion_tokens: 'max_tokens',
};

/** The other parameters of the API (chat, completions, embeddings): when refused, the client gets the error. */
const KEPT: ReadonlySet<string> = new Set([
  'messages',
  'model',
  'prompt',
  'input',
  'query',
  'documents',
  'audio',
  'best_of',
  'dimensions',
  'echo',
  'function_call',
  'functions',
  'logit_bias',
  'modalities',
  'moderation',
  'n',
  'prediction',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'reasoning_effort',
  'response_format',
  'safety_identifier',
  'stop',
  'stream',
  'suffix',
  'temperature',
  'tool_choice',
  'tools',
  'top_logprobs',
  'top_n',
  'top_p',
  'verbosity',
  'web_search_options',
]);

/** True: a refused parameter of this name may be left out. Unknown names may. */
export function isDroppable(name: string): boolean {
  return DROPPABLE.has(name) || !(KEPT.has(name) || Object.hasOwn(RENAMED, name));
}

/** The name under which a refused length limit is sent instead; null for everything else. */
export function renameOfRefused(name: string): string | null {
  return Object.hasOwn(RENAMED, name) ? (RENAMED[name] ?? null) : null;
}

/** Names are repeated in a response header (`x-tokenferry-dropped`), so invalid ones are not learned. */
const PLAIN_NAME = /^[\w.-]{1,64}$/;

const REFUSAL =
  /unsupported|not supported|support(?:s|ed)? only|only (?:permitted|allowed|supported|valid) (?:when|if|with|for)|not (?:yet )?(?:permitted|allowed|available|recognized|implemented|accepted)|(?:does|do)(?: not|n't) (?:support|accept|allow)|unrecogni[sz]ed|unknown|unexpected|extra_forbidden|extra (?:inputs?|fields?|parameters?)|additional propert|cannot find field|invalid (?:parameter|argument|field)|are not valid|deprecated|不支持|未知参数|非法参数/i;

/**
 * The parameter that an upstream's 400 or 422 refuses, when it is one that may be left out or renamed; else null.
 */
export function findRefusedParameter(
  error: FerryError,
  request: Pick<ParsedRequest, 'json' | 'derived'>,
): string | null {
  if (error.kind !== 'client_fault' || (error.status !== 400 && error.status !== 422)) return null;
  if (!REFUSAL.test(error.message) && !REFUSAL.test((error.code ?? '').replaceAll('_', ' '))) return null;
  // The gateway may have added stream_options for the usage.
  const sent = { ...request.json, stream_options: null };
  const named = nameInParam(error.param, sent) ?? nameInText(error.message, sent);
  if (named === null) return null;
  const isLeftOut = isDroppable(named) || request.derived?.includes(named) === true;
  return isLeftOut || Object.hasOwn(RENAMED, named) ? named : null;
}

/** `stream_options.include_usage`, `body.user` and `metadata[a]` all mean their top-level parameter. */
function nameInParam(param: string | null, sent: Readonly<Record<string, unknown>>): string | null {
  if (param === null) return null;
  const [first, second] = param.split(/[.[\]]/).filter((part) => part !== '' && part !== 'body');
  for (const name of [first, second]) {
    if (name !== undefined && PLAIN_NAME.test(name) && Object.hasOwn(sent, name)) return name;
  }
  return null;
}

/**
 * The key of the request that the text names first. Words such as `user` and `store` occur in many sentences, so
 * that a name counts when it is marked as one: quoted, behind a colon or "parameter", before a colon, or with `_`.
 */
function nameInText(message: string, sent: Readonly<Record<string, unknown>>): string | null {
  let best: { name: string; at: number } | null = null;
  for (const name of Object.keys(sent)) {
    const at = markedMention(message, name);
    if (at >= 0 && (best === null || at < best.at)) best = { name, at };
  }
  return best === null ? null : best.name;
}

function markedMention(message: string, name: string): number {
  if (!PLAIN_NAME.test(name)) return -1;
  for (let at = message.indexOf(name); at !== -1; at = message.indexOf(name, at + 1)) {
    const before = message.slice(Math.max(0, at - 24), at);
    const after = message.slice(at + name.length, at + name.length + 12);
    if (/[\w-]$/.test(before) || /^[\w-]/.test(after)) continue;
    if (name.includes('_') || isMarked(before, after)) return at;
  }
  return -1;
}

function isMarked(before: string, after: string): boolean {
  if (/['"`“‘(,]\s*$/.test(before) && /^['"`”’).,]/.test(after)) return true;
  if (/(?::|->|\bparameters?|\barguments?|\bfields?|\bpropert(?:y|ies)|\bbody[.,])\s*$/i.test(before))
    return true;
  // At the start of a sentence: `user: Extra inputs…`, `metadata.id: …`, `logprobs is not supported`.
  return /(?:^|[.;,>\n]\s?)$/.test(before) && /^(?:\s?:|\.\w|\s(?:is|are) (?:not|un))/.test(after);
}
