import type { Attributes, AttributeValue } from '@opentelemetry/api';
import { isJsonObject } from '../../lib/json/json-object.ts';
import type { ResponseFacts, TracedUsage } from '../../lib/request-trace.ts';

/**
 * Attributes of the spans, by OpenTelemetry's semantic conventions: HTTP 1.44.0 (open-telemetry/semantic-conventions, stable)
 * and GenAI (open-telemetry/semantic-conventions-genai, the spans gen_ai.client.inference and gen_ai.client.embeddings, in
 * development, of 2026-11). What has content (messages, instructions, tools, stop sequences) has no row, and neither has a URL, which may
 * contain a token. `tokenferry.*` is what the conventions have no name for.
 */
type Reader = (request: Readonly<Record<string, unknown>>) => AttributeValue | undefined;

const integer =
  (...names: readonly string[]): Reader =>
  (request) =>
    names.map((name) => request[name]).find((value) => Number.isSafeInteger(value)) as number | undefined;

const number =
  (name: string): Reader =>
  ({ [name]: value }) =>
    typeof value === 'number' && Number.isFinite(value) ? value : undefined;

const word =
  (name: string): Reader =>
  ({ [name]: value }) =>
    typeof value === 'string' ? value.slice(0, MAX_WORD_LENGTH) : undefined;

/** Longer than the name of any parameter's value or an id. UTF-16 units. */
const MAX_WORD_LENGTH = 128;

/** What a request asks for; the members are OpenAI's and Anthropic's. */
const REQUEST_ATTRIBUTES: Readonly<Record<string, Reader>> = {
  'gen_ai.request.max_tokens': integer('max_completion_tokens', 'max_tokens', 'max_output_tokens'),
  'gen_ai.request.temperature': number('temperature'),
  'gen_ai.request.top_p': number('top_p'),
  'gen_ai.request.top_k': integer('top_k'),
  'gen_ai.request.frequency_penalty': number('frequency_penalty'),
  'gen_ai.request.presence_penalty': number('presence_penalty'),
  'gen_ai.request.seed': integer('seed'),
  // "If available, in the request, and !=1."
  'gen_ai.request.choice.count': ({ n }) => (Number.isSafeInteger(n) && n !== 1 ? (n as number) : undefined),
  // "If and only if the request is streaming."
  'gen_ai.request.stream': ({ stream }) => (stream === true ? true : undefined),
  'gen_ai.request.reasoning.level': (request) =>
    word('reasoning_effort')(request) ??
    (isJsonObject(request.reasoning) ? word('effort')(request.reasoning) : undefined),
  'gen_ai.request.previous_response.id': word('previous_response_id'),
  'gen_ai.output.type': ({ response_format: format }) => {
    if (!isJsonObject(format)) return undefined;
    return format.type === 'json_object' || format.type === 'json_schema' ? 'json' : undefined;
  },
  'gen_ai.embeddings.dimension.count': integer('dimensions'),
  'gen_ai.request.encoding_formats': (request) => {
    const format = word('encoding_format')(request);
    return format === undefined ? undefined : [format as string];
  },
};

/** The attributes of what a request asks for, without its content. */
export function requestAttributes(request: Readonly<Record<string, unknown>>): Attributes {
  return attributesOf(Object.entries(REQUEST_ATTRIBUTES).map(([name, read]) => [name, read(request)]));
}

/** The attributes of what a response says of itself. */
export function responseAttributes({ id, model, finishReasons }: ResponseFacts): Attributes {
  return attributesOf([
    ['gen_ai.response.id', id ?? undefined],
    ['gen_ai.response.model', model ?? undefined],
    ['gen_ai.response.finish_reasons', finishReasons.length === 0 ? undefined : [...finishReasons]],
  ]);
}

/** The attributes of tokens. `hasOutput`: false for embeddings and the like, which generate none. */
export function usageAttributes(usage: TracedUsage, hasOutput: boolean): Attributes {
  const { promptTokens, completionTokens, extensions = {} } = usage;
  return attributesOf([
    ['gen_ai.usage.input_tokens', promptTokens],
    ['gen_ai.usage.output_tokens', hasOutput ? completionTokens : undefined],
    ['gen_ai.usage.cache_read.input_tokens', detail(extensions, PROMPT_DETAILS, 'cached_tokens')],
    ['gen_ai.usage.reasoning.output_tokens', detail(extensions, OUTPUT_DETAILS, 'reasoning_tokens')],
  ]);
}

/** Of chat and of Responses. */
const PROMPT_DETAILS = ['prompt_tokens_details', 'input_tokens_details'] as const;
const OUTPUT_DETAILS = ['completion_tokens_details', 'output_tokens_details'] as const;

/** "When applicable": a count of 0 says nothing. */
function detail(
  extensions: Readonly<Record<string, unknown>>,
  names: readonly string[],
  member: string,
): number | undefined {
  for (const name of names) {
    const details = extensions[name];
    const count = isJsonObject(details) ? details[member] : undefined;
    if (typeof count === 'number' && Number.isSafeInteger(count) && count > 0) return count;
  }
  return undefined;
}

/** Without those that are undefined. */
export function attributesOf(
  entries: readonly (readonly [name: string, value: AttributeValue | undefined])[],
): Attributes {
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

interface Provider {
  /** Of the upstream's host. */
  readonly host: RegExp;
  readonly name: string;
}

/** `gen_ai.provider.name` by host: the well-known values of the conventions, and `replicate`. */
const PROVIDERS: readonly Provider[] = [
  { host: /(?:^|\.)openai\.com$/, name: 'openai' },
  { host: /(?:^|\.)openai\.azure\.(?:com|us|cn)$|\.cognitiveservices\.azure\.com$/, name: 'azure.ai.openai' },
  { host: /\.(?:services\.ai|models\.ai|inference\.ai)\.azure\.com$/, name: 'azure.ai.inference' },
  { host: /(?:^|\.)anthropic\.com$/, name: 'anthropic' },
  { host: /(?:^|\.)bedrock[\w-]*\.[\w-]+\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$/, name: 'aws.bedrock' },
  { host: /(?:^|\.)cohere\.(?:com|ai)$/, name: 'cohere' },
  { host: /(?:^|\.)deepseek\.com$/, name: 'deepseek' },
  { host: /^generativelanguage\.googleapis\.com$/, name: 'gcp.gemini' },
  { host: /(?:^|-)aiplatform\.googleapis\.com$/, name: 'gcp.vertex_ai' },
  { host: /(?:^|\.)groq\.com$/, name: 'groq' },
  { host: /\.ml\.cloud\.ibm\.com$/, name: 'ibm.watsonx.ai' },
  { host: /(?:^|\.)mistral\.ai$/, name: 'mistral_ai' },
  { host: /(?:^|\.)moonshot\.(?:ai|cn)$/, name: 'moonshot_ai' },
  { host: /(?:^|\.)perplexity\.ai$/, name: 'perplexity' },
  { host: /(?:^|\.)x\.ai$/, name: 'x_ai' },
  { host: /(?:^|\.)replicate\.com$/, name: 'replicate' },
];

/**
 * Who serves, as far as the host shows it. Else the API that is spoken, since the attribute "identifies the GenAI
 * telemetry format flavor" and may differ from the actual provider behind a proxy.
 */
export function providerOf(host: string, path: string): string {
  const known = PROVIDERS.find((provider) => provider.host.test(host));
  return known?.name ?? (path.startsWith('/v1/messages') ? 'anthropic' : 'openai');
}
