import { didYouMean } from '../load/nearest-key.ts';
import { json, list, mapOf } from './collection-types.ts';
import { type FieldType, InvalidValue } from './fields.ts';
import { flag } from './number-types.ts';
import { FileScalar, isMapping, kindOf, scalarText } from './scalar.ts';
import { regularExpression } from './text-types.ts';

const PLACES = ['header', 'query', 'cookie', 'body'] as const;

/** Where a token goes in a request, by the name it has there; `body` is a top-level field of a JSON body. */
type PlacementConfig = (
  | { readonly header: string; readonly prefix?: string }
  | { readonly query: string }
  | { readonly cookie: string }
  | { readonly body: string }
) & {
  /** Another value of the issuer's response is placed there, not the token. */
  readonly extra?: string;
};

/** `{ header: Authorization, prefix: "Bearer " }`, or a list of such. */
export const placements: FieldType<PlacementConfig[]> = {
  name: 'place, or list of places',
  json: { type: ['object', 'array'] },
  read: (value) => {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    const read = items.map(placement);
    const wrong = read.find((item) => item instanceof InvalidValue);
    if (wrong !== undefined) return wrong;
    return items.length === 0 ? new InvalidValue('must not be empty') : (read as PlacementConfig[]);
  },
};

/** A token of RFC 9110: any other name would make every request fail later. */
export const HEADER_NAME = /^[!#$%&'*+\-.^_`|~\w]+$/;

function placement(value: unknown): PlacementConfig | InvalidValue {
  if (!isMapping(value))
    return new InvalidValue(`must be a mapping such as { header: X-Token }, is ${kindOf(value)}`);
  const allowed = [...PLACES, 'prefix', 'extra'];
  const unknown = Object.keys(value).find((key) => !allowed.includes(key));
  if (unknown !== undefined) {
    const message = `unknown key${didYouMean(unknown, allowed)}`;
    return new InvalidValue(message, [{ path: [unknown], message }]);
  }
  const named = PLACES.filter((place) => value[place] !== undefined);
  const place = named[0];
  if (place === undefined || named.length > 1)
    return new InvalidValue(`must name one of ${PLACES.join(', ')}`);
  const name = scalarText(value[place]) ?? '';
  if (place === 'header' ? !HEADER_NAME.test(name) : name === '')
    return new InvalidValue(`the ${place} name is not valid`);
  if (value.prefix !== undefined && place !== 'header') return new InvalidValue('prefix is for headers only');
  const rest = { prefix: value.prefix, extra: value.extra };
  const texts: Record<string, string> = { [place]: name };
  for (const [key, entry] of Object.entries(rest)) {
    if (entry === undefined) continue;
    const read = scalarText(entry);
    if (read === null) return new InvalidValue(`${key} must be text`);
    texts[key] = read;
  }
  return texts as unknown as PlacementConfig;
}

/** Values at a JSON pointer that mean "this token is no longer good". */
interface BodyMatcherConfig {
  readonly path: string;
  readonly equals: readonly (string | number | boolean | null)[];
}

/** `{ /error_code: [110, 111] }`, or a list of such; one match is enough. */
export const bodyMatchers: FieldType<BodyMatcherConfig[]> = {
  name: 'mapping from JSON pointers to a value or a list of values',
  json: { type: ['object', 'array'] },
  read: (value) => {
    const items: readonly unknown[] = Array.isArray(value) ? value : [value];
    const matchers: BodyMatcherConfig[] = [];
    for (const item of items) {
      if (!isMapping(item))
        return new InvalidValue(`must be a mapping such as { /error_code: [110, 111] }, is ${kindOf(item)}`);
      for (const [path, expected] of Object.entries(item)) {
        const equals = (Array.isArray(expected) ? expected : [expected]).map(scalarOf);
        if (!path.startsWith('/'))
          return new InvalidValue('a key must be a JSON pointer such as /error_code');
        if (equals.includes(undefined))
          return new InvalidValue('a value must be text, a number, true, false or null');
        matchers.push({ path, equals: equals as BodyMatcherConfig['equals'] });
      }
    }
    return matchers;
  },
};

function scalarOf(value: unknown): string | number | boolean | null | undefined {
  if (value instanceof FileScalar) return value.value;
  const read = json.read(value);
  return typeof read === 'object' && read !== null ? undefined : (read as string | number | boolean | null);
}

/** Case-insensitive, since servers are: `Session expired`, `SESSION EXPIRED`. */
function pattern(value: unknown): RegExp | InvalidValue {
  const read = regularExpression.read(value);
  return read instanceof InvalidValue ? read : new RegExp(read.source, 'i');
}

/** A regular expression, or a list of them. */
export const patterns: FieldType<RegExp[]> = {
  name: 'regular expression, or list of them',
  json: { type: ['string', 'array'], items: { type: 'string', format: 'regex' } },
  read: (value) => list({ ...regularExpression, read: pattern }).read(Array.isArray(value) ? value : [value]),
};

const ANY = /(?:)/;

/** `true` (a pattern that matches anything), `false` (none), or regular expressions. */
export const anyOrPatterns: FieldType<RegExp[]> = {
  name: 'true | false | regular expression, or list of them',
  json: { type: ['boolean', 'string', 'array'], items: { type: 'string', format: 'regex' } },
  read: (value) => {
    const isOn = Array.isArray(value) ? null : flag.read(value);
    if (typeof isOn === 'boolean') return isOn ? [ANY] : [];
    return patterns.read(value);
  },
};

/** A header of a response and what in its value means "this token is no longer good". */
interface HeaderMatcherConfig {
  readonly name: string;
  readonly patterns: readonly RegExp[];
}

/** `{ X-Session-State: expired }`, `{ X-Reauthenticate: true }`. */
export const headerMatchers: FieldType<HeaderMatcherConfig[]> = {
  name: 'mapping from header names to true or regular expressions',
  json: { type: 'object', additionalProperties: anyOrPatterns.json },
  read: (value) => {
    const read = mapOf(anyOrPatterns).read(value);
    if (read instanceof InvalidValue) return read;
    const wrong = Object.keys(read).find((name) => !HEADER_NAME.test(name));
    if (wrong !== undefined)
      return new InvalidValue('the header name is not valid', [
        { path: [wrong], message: 'the header name is not valid' },
      ]);
    return Object.entries(read)
      .filter(([, found]) => found.length > 0)
      .map(([name, found]) => ({ name: name.toLowerCase(), patterns: found }));
  },
};
