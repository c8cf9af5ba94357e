import { resolvePointer } from '../../lib/json/json-pointer.ts';
import type { SourceVoice } from './source-errors.ts';

/**
 * The values of an answer that `extra` names, ready to be spread into a token's findings. One that is missing is
 * an error, for a placement will need it.
 */
export function extraValues(
  voice: SourceVoice,
  json: unknown,
  pointers: Readonly<Record<string, string>> = {},
): { extra?: Record<string, string> } {
  const extra: Record<string, string> = {};
  for (const [name, pointer] of Object.entries(pointers)) {
    const { value } = resolvePointer(json, pointer);
    if (typeof value !== 'string' && typeof value !== 'number') {
      throw voice.error(`extra ${name}`, `${pointer} matched no text in the answer`);
    }
    extra[name] = String(value);
  }
  return Object.keys(extra).length === 0 ? {} : { extra };
}
