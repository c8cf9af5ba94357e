import { isJsonObject } from '../../lib/json/json-object.ts';
import { parseResponseJson } from '../response-body.ts';
import { readUsage } from '../usage/usage.ts';
import { readImages } from './images.ts';
import type {
  CountedMediaResponse,
  MediaReadOptions,
  MediaRequest,
  MediaResponse,
  MediaSource,
} from './media-request.ts';
import { readSpeech } from './speech.ts';
import { readTranscript } from './transcript.ts';

/**
 * A response in the one form that clients read (S121 to S123, Q161 to Q163). Throws FerryError: the error that it
 * carries, `invalid_response`, `mismatch`.
 */
export function readMediaResponse(
  source: Omit<MediaSource, 'json'>,
  options: MediaReadOptions,
): CountedMediaResponse {
  const json = source.shape === 'json' ? parseResponseJson(source.body, options.context) : null;
  const response = READERS[options.request.kind]({ ...source, json }, options);
  return { ...response, usage: isJsonObject(json) ? readUsage(json.usage) : null };
}

const READERS = { transcript: readTranscript, speech: readSpeech, images: readImages } satisfies Record<
  MediaRequest['kind'],
  (source: MediaSource, options: MediaReadOptions) => MediaResponse
>;
