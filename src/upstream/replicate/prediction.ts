import { FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../lib/json/json-object.ts';
import { excerptOf } from '../../lib/text/sanitize.ts';

type PredictionState = 'running' | 'succeeded' | 'failed' | 'canceled';

/** The tokens that a prediction used. */
export interface PredictionUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** A prediction, as Replicate's API describes it. */
export interface Prediction {
  readonly id: string;
  readonly state: PredictionState;
  /** All output so far. */
  readonly output: string;
  /** Null: none. */
  readonly error: string | null;
  readonly usage: PredictionUsage | null;
  readonly urls: PredictionUrls;
}

/** Where the prediction says that it can be read and cancelled. They come from outside: see stream-rule.ts. */
interface PredictionUrls {
  readonly get: string | null;
  readonly cancel: string | null;
  /** The event stream; null: the model has none. */
  readonly stream: string | null;
}

/** The states of Replicate's API (OpenAPI description, 2025); `aborted` since 2025. */
const STATES: Readonly<Record<string, PredictionState>> = {
  starting: 'running',
  queued: 'running',
  processing: 'running',
  succeeded: 'succeeded',
  successful: 'succeeded',
  failed: 'failed',
  canceled: 'canceled',
  aborted: 'canceled',
};

/** The only ids that can be part of a path. */
const ID = /^[\w-]{1,128}$/;

/** Reads a prediction; throws `invalid_response` for anything else. */
export function readPrediction(text: string, upstream: string): Prediction {
  const json = parseJson(text);
  const prediction = isJsonObject(json) ? json : null;
  const id = prediction?.id;
  if (prediction === null || typeof id !== 'string' || !ID.test(id)) {
    throw invalid(upstream, 'it is no prediction with an id', text);
  }
  const status = typeof prediction.status === 'string' ? prediction.status : 'starting';
  const state = Object.hasOwn(STATES, status) ? STATES[status] : undefined;
  if (state === undefined) throw invalid(upstream, `its status "${status.slice(0, 40)}" is unknown`, text);
  const output = outputText(prediction.output);
  if (output === null) throw invalid(upstream, 'its output is no text', text);
  return {
    id,
    state,
    output,
    error: errorText(prediction.error),
    usage: usageOf(prediction.metrics),
    urls: urlsOf(prediction.urls),
  };
}

function urlsOf(value: unknown): PredictionUrls {
  const urls = isJsonObject(value) ? value : {};
  const url = (name: string): string | null => (typeof urls[name] === 'string' ? urls[name] : null);
  return { get: url('get'), cancel: url('cancel'), stream: url('stream') };
}

/** Language models return a list of texts, or one text; null: anything else. */
function outputText(output: unknown): string | null {
  if (output === null || output === undefined) return '';
  if (typeof output === 'string') return output;
  const isTexts = Array.isArray(output) && output.every((piece) => typeof piece === 'string');
  return isTexts ? output.join('') : null;
}

function errorText(error: unknown): string | null {
  if (error === null || error === undefined || error === '') return null;
  if (typeof error === 'string') return error;
  return isJsonObject(error) && typeof error.detail === 'string' ? error.detail : JSON.stringify(error);
}

function usageOf(metrics: unknown): PredictionUsage | null {
  if (!isJsonObject(metrics)) return null;
  const promptTokens = count(metrics, 'input_token_count');
  const completionTokens = count(metrics, 'output_token_count');
  return promptTokens === null || completionTokens === null ? null : { promptTokens, completionTokens };
}

function count(metrics: JsonObject, name: string): number | null {
  const value = metrics[name];
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 ? value : null;
}

function invalid(upstream: string, why: string, text: string): FerryError {
  const excerpt = excerptOf(text, (one) => one);
  return new FerryError('invalid_response', {
    message: `Upstream "${upstream}" returned an unrecognised prediction: ${why}.`,
    upstreamStatus: 200,
    detail: `unrecognised prediction: ${why}: ${excerpt}`,
  });
}
