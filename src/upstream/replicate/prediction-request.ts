import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject } from '../../lib/json/json-object.ts';
import { familyOf, type Prompt, type PromptMessage } from './prompt-form.ts';

/** One prediction to create, and what of the request its response needs. */
export interface PredictionRequest {
  readonly endpoint: 'chat' | 'completions';
  /** Where it is created, below the endpoint. */
  readonly path: string;
  readonly body: string;
  readonly isStream: boolean;
  /** True: the client, or the record, needs the number of tokens of a stream. */
  readonly wantsUsage: boolean;
  readonly model: string;
  readonly stops: readonly string[];
  /** The maximum number of tokens; null: the client set none. */
  readonly maxTokens: number | null;
}

/** What Replicate's models have no place for: left out, and named in `x-tokenferry-dropped`. */
export const UNSUPPORTED_PARAMETERS: readonly string[] = [
  'audio',
  'function_call',
  'functions',
  'logit_bias',
  'logprobs',
  'modalities',
  'n',
  'parallel_tool_calls',
  'prediction',
  'reasoning_effort',
  'response_format',
  'service_tier',
  'tool_choice',
  'tools',
  'top_logprobs',
];

/** Sent under the same name, if the client sets them. */
const SAME_NAME = ['temperature', 'top_p', 'top_k', 'presence_penalty', 'frequency_penalty', 'seed'] as const;

/** `owner/name`, `owner/name:version` or `deployments/owner/name`; `.` and `..` would climb in the path. */
const MODEL = /^(deployments\/)?([\w-][\w.-]*)\/([\w-][\w.-]*)(?::([\w-]{1,128}))?$/;

/**
 * The prediction for a chat or completion request, as the upstream gets it. Throws `model_not_found` for a model whose name
 * Replicate cannot have, so that another upstream is tried.
 */
export function predictionRequest(
  endpoint: PredictionRequest['endpoint'],
  model: string,
  json: JsonObject,
): PredictionRequest {
  const { path, version } = placeOf(model);
  const family = familyOf(model);
  const limit = numberOf(json.max_completion_tokens) ?? numberOf(json.max_tokens);
  const stops = stopsOf(json.stop);
  const prompt: Prompt =
    endpoint === 'chat' ? family.render(messagesOf(json.messages)) : rawPrompt(json.prompt);
  const input: Record<string, unknown> = { ...prompt };
  const sentLimit = limit ?? family.defaultLimit;
  if (sentLimit !== null) for (const name of family.limitNames) input[name] = sentLimit;
  for (const name of SAME_NAME) if (typeof json[name] === 'number') input[name] = json[name];
  // The form of Replicate's language models: a comma separates. What has one is found here alone.
  const sentStops = stops.filter((stop) => !stop.includes(','));
  if (sentStops.length > 0) input.stop_sequences = sentStops.join(',');
  const isStream = json.stream === true;
  const { stream_options: options } = json;
  return {
    endpoint,
    path,
    body: JSON.stringify({ ...(version === null ? {} : { version }), stream: isStream, input }),
    isStream,
    wantsUsage: isJsonObject(options) && options.include_usage === true,
    model,
    stops,
    maxTokens: limit,
  };
}

function placeOf(model: string): { readonly path: string; readonly version: string | null } {
  const [, deployment, owner, name, version] = MODEL.exec(model) ?? [];
  if (owner === undefined || name === undefined) {
    throw new FerryError('model_not_found', {
      message: `The model '${model.slice(0, 100)}' does not exist or is not available. Models of Replicate are named owner/name.`,
      param: 'model',
    });
  }
  if (deployment !== undefined) return { path: `/deployments/${owner}/${name}/predictions`, version: null };
  if (version !== undefined) return { path: '/predictions', version };
  return { path: `/models/${owner}/${name}/predictions`, version: null };
}

function messagesOf(messages: unknown): readonly PromptMessage[] {
  if (!Array.isArray(messages)) return [];
  return messages.filter(isJsonObject).map(({ role, content }) => ({
    role: typeof role === 'string' ? role : 'user',
    // Lists of parts were made one text before, or refused (`message_content: text`).
    content: typeof content === 'string' ? content : '',
  }));
}

/** A completion's prompt is sent as it is, without the model's template. */
function rawPrompt(prompt: unknown): Prompt {
  const [only, ...others] = Array.isArray(prompt) ? (prompt as unknown[]) : [prompt];
  if (typeof only !== 'string' || others.length > 0) {
    throw new FerryError('invalid_request', {
      message: 'A model of Replicate takes one prompt, as text. Send one request for each.',
      param: 'prompt',
    });
  }
  return { prompt: only, prompt_template: '{prompt}' };
}

function stopsOf(stop: unknown): readonly string[] {
  const list: readonly unknown[] = Array.isArray(stop) ? stop : [stop];
  return list.filter((one): one is string => typeof one === 'string' && one !== '');
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}
