import type { FieldKind } from './fields.ts';
import { type JsonValue, json } from './kinds.ts';
import { nearest } from './nearest.ts';
import { isMapping, kindOf, scalarText } from './scalar.ts';
import { Wrong } from './wrong.ts';

const PLACES = ['header', 'query', 'cookie', 'body'] as const;

/** Where a token goes in a request: the place, its name there, and what stands before the token. */
export interface PlacementSetting {
  readonly in: (typeof PLACES)[number];
  /** Header, parameter or cookie name; for a body the top-level JSON field. */
  readonly name: string;
  readonly prefix: string;
}

/** `{ header: Authorization, prefix: "Bearer " }`, or a list of such. */
export const placements: FieldKind<PlacementSetting[]> = {
  name: 'place or list of places',
  json: { type: ['object', 'array'] },
  read: (value) => {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    const read = items.map(placement);
    const wrong = read.find((item) => item instanceof Wrong);
    if (wrong !== undefined) return wrong;
    return items.length === 0 ? new Wrong('must not be empty') : (read as PlacementSetting[]);
  },
};

/** A field name is a token of RFC 9110: anything else would make each request fail later. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~\w]+$/;

function placement(value: unknown): PlacementSetting | Wrong {
  if (!isMapping(value))
    return new Wrong(`must be a mapping such as { header: Authorization }, is ${kindOf(value)}`);
  const allowed = [...PLACES, 'prefix'];
  const unknown = Object.keys(value).find((key) => !allowed.includes(key));
  if (unknown !== undefined) {
    const near = nearest(unknown, allowed);
    return new Wrong(`unknown key "${unknown}"${near === null ? '' : `; did you mean "${near}"?`}`, [
      { path: [unknown], message: `unknown key${near === null ? '' : `; did you mean "${near}"?`}` },
    ]);
  }
  const named = PLACES.filter((place) => value[place] !== undefined);
  const place = named[0];
  if (place === undefined || named.length > 1) return new Wrong(`must name one of ${PLACES.join(', ')}`);
  const name = scalarText(value[place]) ?? '';
  if (place === 'body' ? name === '' : !HEADER_NAME.test(name))
    return new Wrong(`${place}: is no valid name`);
  // "Bearer " is the convention of the Authorization header and of nothing else.
  const usual = place === 'header' && name.toLowerCase() === 'authorization' ? 'Bearer ' : '';
  return { in: place, name, prefix: value.prefix === undefined ? usual : (scalarText(value.prefix) ?? '') };
}

/** What a body must hold to count as a rejection: a text, or all of these values at these JSON pointers. */
export type BodyMatcher =
  | { readonly text: string }
  | { readonly json: Readonly<Record<string, readonly JsonValue[]>> };

export const bodyMatchers: FieldKind<BodyMatcher[]> = {
  name: 'list of texts or mappings of JSON pointers',
  json: { type: 'array' },
  read: (value) => {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    const read = items.map(bodyMatcher);
    const wrong = read.find((item) => item instanceof Wrong);
    return wrong ?? (read as BodyMatcher[]);
  },
};

function bodyMatcher(value: unknown): BodyMatcher | Wrong {
  const written = scalarText(value);
  if (written !== null)
    return written === '' ? new Wrong('an empty text is in every body') : { text: written };
  if (!isMapping(value)) return new Wrong(`must be a text or a mapping, is ${kindOf(value)}`);
  const pointers: Record<string, readonly JsonValue[]> = {};
  for (const [pointer, expected] of Object.entries(value)) {
    if (!pointer.startsWith('/')) return new Wrong('keys must be JSON pointers such as /error_code');
    const values = json.read(expected);
    if (!(values instanceof Wrong)) pointers[pointer] = Array.isArray(values) ? values : [values];
  }
  return Object.keys(pointers).length === 0 ? new Wrong('must not be empty') : { json: pointers };
}
