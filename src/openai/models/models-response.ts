import { FerryError } from '../../lib/errors/ferry-error.ts';
import { findList, isJsonObject, type JsonObject, numberFrom } from '../../lib/json/json-object.ts';
import type { OnRepair } from '../vendors/repairs.ts';

/** A model as `GET /v1/models` lists it: no null members, numbers that are integers (S8, S9). */
export interface ListedModel {
  readonly id: string;
  readonly object: 'model';
  /** Seconds since 1970. */
  readonly created: number;
  readonly owned_by: string;
  /** Tokens that fit into the model's context, if the upstream states it. */
  readonly context_length?: number;
  /** As the upstream gave it: RAGFlow takes it for the context's size, so that it is never derived. */
  readonly max_tokens?: number;
}

/** Names of the context length; which vendor sends which is not recorded. */
const CONTEXT_NAMES = [
  'context_length',
  'max_model_len',
  'context_window',
  'max_context_length',
  'max_input_tokens',
  'inputTokenLimit',
];
const CREATED_NAMES = [
  'created',
  // Dates; which vendor sends which is not recorded.
  'created_at',
  'createdAt',
  'modified_at',
];

/** Where a list of models may be (Q164). */
const LIST_NAMES = [
  'data',
  // Ollama, Gemini.
  'models',
  // Envelopes of company gateways (Q42).
  'result',
  'items',
  'model_list',
];

/**
 * Any upstream's list of models, each id once, in its order. `createdSeconds` is used where the upstream does
 * not state one. Throws FerryError `invalid_response` for a body that is no list.
 */
export function readModelsResponse(body: Buffer, createdSeconds: number, onRepair?: OnRepair): ListedModel[] {
  const json = parse(body);
  const list = findList(json, LIST_NAMES, 3);
  if (list === null) {
    throw new FerryError('invalid_response', {
      message: "The upstream's response is not a list of models.",
    });
  }
  if (!isJsonObject(json) || json.data !== list) onRepair?.('models_list_form');
  const models = new Map<string, ListedModel>();
  for (const entry of list) {
    const model = readModel(entry, createdSeconds);
    if (model === null || models.has(model.id)) continue;
    models.set(model.id, model);
    if (!isJsonObject(entry) || entry.id !== model.id) onRepair?.('model_id_name');
  }
  return [...models.values()];
}

/** Any upstream's response to `GET /v1/models/{id}`; null for a body that is no model. Throws `invalid_response` for no JSON. */
export function readModelResponse(body: Buffer, createdSeconds: number): ListedModel | null {
  const json = parse(body);
  return isJsonObject(json) ? readModel(json, createdSeconds) : null;
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8').replace(/^\ufeff/, ''));
  } catch (cause) {
    throw new FerryError('invalid_response', {
      message: "The upstream's list of models is not valid JSON.",
      cause,
    });
  }
}

function readModel(entry: unknown, createdSeconds: number): ListedModel | null {
  const json: JsonObject = typeof entry === 'string' ? { id: entry } : isJsonObject(entry) ? entry : {};
  const id = [json.id, json.model, json.name, json.model_name, json.model_id].find(isText);
  if (id === undefined) return null;
  const context = firstCount(json, CONTEXT_NAMES);
  const maxTokens = firstCount(json, ['max_tokens']);
  return {
    // Gemini's resource names; clients use the bare one.
    id: id.startsWith('models/') ? id.slice('models/'.length) : id,
    object: 'model',
    created: readCreated(json) ?? createdSeconds,
    owned_by: isText(json.owned_by) ? json.owned_by : 'upstream',
    ...(context !== null && { context_length: context }),
    ...(maxTokens !== null && { max_tokens: maxTokens }),
  };
}

function readCreated(json: JsonObject): number | null {
  for (const name of CREATED_NAMES) {
    const value = json[name];
    const number = numberFrom(value);
    // Beyond the year 5000 in seconds, so these are milliseconds.
    if (number !== null && number > 0) return Math.floor(number > 1e11 ? number / 1000 : number);
    const date = typeof value === 'string' ? Date.parse(value) : Number.NaN;
    if (date > 0) return Math.floor(date / 1000);
  }
  return null;
}

function firstCount(json: JsonObject, names: readonly string[]): number | null {
  for (const name of names) {
    const count = Math.floor(numberFrom(json[name]) ?? 0);
    if (Number.isSafeInteger(count) && count > 0) return count;
  }
  return null;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.trim() !== '';
}
