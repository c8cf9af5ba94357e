import { Secret } from '../secret.ts';
import type { FieldKind } from './fields.ts';
import { didYouMean } from './nearest.ts';
import { durationMs, sizeBytes, statusRange, writtenDuration } from './quantities.ts';
import { FileScalar, isMapping, kindOf, scalarText } from './scalar.ts';
import { Wrong } from './wrong.ts';

/** A value that the environment fills in later passes an editor's check. */
const INTERPOLATED = { type: 'string', pattern: '\\$\\{' } as const;

/** Text, as written: `0123` and `true` stay what they look like. */
export const text: FieldKind<string> = {
  name: 'text',
  json: { type: ['string', 'number', 'boolean'] },
  read: (value) => scalarText(value) ?? new Wrong(`must be text, is ${kindOf(value)}`),
};

/** Text that means something, so that an empty one is a mistake. */
export const word: FieldKind<string> = {
  ...text,
  read: (value) => {
    const read = text.read(value);
    return read === '' ? new Wrong('is empty') : read;
  },
};

export const secret: FieldKind<Secret> = {
  name: 'secret',
  json: text.json,
  read: (value) => {
    const read = word.read(value);
    return read instanceof Wrong ? read : new Secret(read);
  },
};

/** `key-one, key-two`, as in openai-api-route, or a list. */
/** The word instead of a key that forwards the client's own header. */
export const AS_IS = 'asis';

/** An upstream's static key, or the word that forwards the client's own. */
export const upstreamKey: FieldKind<Secret | typeof AS_IS> = {
  ...secret,
  read: (value) => (scalarText(value) === AS_IS ? AS_IS : secret.read(value)),
};

export const secretsByComma: FieldKind<Secret[]> = {
  name: 'secrets, comma separated or a list',
  json: { type: ['string', 'number', 'array'] },
  read: (value) => {
    const texts = Array.isArray(value) ? value.map(scalarText) : [scalarText(value)];
    const keys: Secret[] = [];
    for (const part of texts) {
      if (part === null) return new Wrong(`must be text, is ${kindOf(value)}`);
      for (const key of part.split(',')) if (key.trim() !== '') keys.push(new Secret(key.trim()));
    }
    return keys;
  },
};

const YES_NO: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  false: false,
  no: false,
  off: false,
};

/** true or false; YAML 1.1's yes, no, on and off too, because there is nothing else that they could mean here. */
export const flag: FieldKind<boolean> = {
  name: 'true | false',
  json: { anyOf: [{ type: 'boolean' }, INTERPOLATED] },
  read: (value) =>
    YES_NO[scalarText(value)?.toLowerCase() ?? ''] ?? new Wrong(`must be true or false, is ${kindOf(value)}`),
};

interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** Timers cannot be set further ahead than 2^31 - 1 ms, a bit over 24 days. */
const LONGEST_TIMER_MS = 24 * 86_400_000;

/** Null when `amount` is in range; else the limit that it breaks, as it would be written. */
function outside(amount: number, range: Range, written: (amount: number) => string = String): Wrong | null {
  if (range.min !== undefined && amount < range.min)
    return new Wrong(`must be at least ${written(range.min)}`);
  if (range.max !== undefined && amount > range.max)
    return new Wrong(`must be at most ${written(range.max)}`);
  return null;
}

/** Text counts as a number only when it was filled in: `"8"` in quotes is a mistake elsewhere. */
function readNumber(value: unknown): number | Wrong {
  const plain = value instanceof FileScalar ? value.value : value;
  const isFilledIn = value instanceof FileScalar && value.isInterpolated;
  const amount = isFilledIn && /^\s*-?\d+(\.\d+)?\s*$/.test(value.text) ? Number(value.text) : plain;
  if (typeof amount === 'number' && Number.isFinite(amount)) return amount;
  const hint = typeof plain === 'string' && !isFilledIn ? '; write it without quotes' : '';
  return new Wrong(`must be a number, is ${kindOf(value)}${hint}`);
}

export function number(range: Range = {}): FieldKind<number> {
  return {
    name: 'number',
    json: { anyOf: [{ type: 'number', ...jsonRange(range) }, INTERPOLATED] },
    read: (value) => {
      const amount = readNumber(value);
      return amount instanceof Wrong ? amount : (outside(amount, range) ?? amount);
    },
  };
}

export function integer(range: Range = {}): FieldKind<number> {
  return {
    name: 'whole number',
    json: { anyOf: [{ type: 'integer', ...jsonRange(range) }, INTERPOLATED] },
    read: (value) => {
      const amount = readNumber(value);
      if (amount instanceof Wrong) return amount;
      return Number.isSafeInteger(amount)
        ? (outside(amount, range) ?? amount)
        : new Wrong('must be a whole number');
    },
  };
}

function jsonRange(range: Range): Record<string, number> {
  return {
    ...(range.min === undefined ? {} : { minimum: range.min }),
    ...(range.max === undefined ? {} : { maximum: range.max }),
  };
}

/**
 * A time in milliseconds; in the file seconds as a number, or with its unit. The range is in milliseconds, and
 * no wider than a timer unless it says so.
 */
export function duration(range: Range = {}): FieldKind<number> {
  return {
    name: 'duration',
    json: {
      anyOf: [
        { type: 'number', minimum: 0 },
        { type: 'string', pattern: '^\\d+(\\.\\d+)?\\s*(ms|s|m|h|d)?$' },
        INTERPOLATED,
      ],
    },
    read: (value) => {
      const ms = durationMs(scalarText(value) ?? '');
      if (ms === null)
        return new Wrong('must be a duration: seconds as a number, or 500ms, 30s, 5m, 2h, 30d');
      return outside(ms, { max: LONGEST_TIMER_MS, ...range }, writtenDuration) ?? ms;
    },
  };
}

/** A size in bytes; in the file bytes as a number, or with its unit. */
export function size(range: Range = {}): FieldKind<number> {
  return {
    name: 'size',
    json: {
      anyOf: [
        { type: 'integer', minimum: 0 },
        { type: 'string', pattern: '^\\d+(\\.\\d+)?\\s*[KMGT]?i?B?$' },
        INTERPOLATED,
      ],
    },
    read: (value) => {
      const bytes = sizeBytes(scalarText(value) ?? '');
      if (bytes === null) return new Wrong('must be a size: bytes as a number, or 64KiB, 8MiB, 1GiB');
      return outside(bytes, range) ?? bytes;
    },
  };
}

/** One of these words. */
export function choice<const Word extends string>(...words: readonly Word[]): FieldKind<Word> {
  return {
    name: words.join(' | '),
    json: { enum: words },
    read: (value) => {
      const written = scalarText(value);
      const found = words.find((candidate) => candidate === written);
      if (found !== undefined) return found;
      return new Wrong(`must be one of ${words.join(', ')}${didYouMean(written ?? '', words)}`);
    },
  };
}

/** A list of what `item` reads; each wrong item is a problem of its own. */
export function list<T>(
  item: FieldKind<T>,
  options: { readonly minItems?: number; readonly maxItems?: number } = {},
): FieldKind<T[]> {
  return {
    name: `list of ${item.name}`,
    json: { type: 'array', items: item.json },
    read: (value) => {
      if (!Array.isArray(value)) return new Wrong(`must be a list, is ${kindOf(value)}`);
      if (value.length < (options.minItems ?? 0)) return new Wrong('must not be empty');
      if (value.length > (options.maxItems ?? Infinity))
        return new Wrong(`must have at most ${options.maxItems} items`);
      return readEach(
        value.map((entry, index) => [index, entry]),
        item,
        (read) => read.map(([, entry]) => entry),
      );
    },
  };
}

/** A mapping from names of the user's choice to what `item` reads. */
export function mapOf<T>(item: FieldKind<T>): FieldKind<Record<string, T>> {
  return {
    name: `mapping to ${item.name}`,
    json: { type: 'object', additionalProperties: item.json },
    read: (value) => {
      if (!isMapping(value)) return new Wrong(`must be a mapping, is ${kindOf(value)}`);
      return readEach(Object.entries(value), item, (read) => Object.fromEntries(read));
    },
  };
}

function readEach<Key extends PropertyKey, T, R>(
  entries: readonly (readonly [Key, unknown])[],
  item: FieldKind<T>,
  collect: (read: [Key, T][]) => R,
): R | Wrong {
  const good: [Key, T][] = [];
  const bad: { path: readonly PropertyKey[]; message: string }[] = [];
  for (const [key, entry] of entries) {
    const read = entry === undefined ? new Wrong('is empty') : item.read(entry);
    if (!(read instanceof Wrong)) good.push([key, read]);
    else bad.push(...read.all().map((part) => ({ path: [key, ...part.path], message: part.message })));
  }
  return bad.length === 0 ? collect(good) : new Wrong(bad.map((part) => part.message).join('; '), bad);
}

/** HTTP statuses and ranges of them, e.g. `[502, "520-529"]`. */
export const statuses: FieldKind<number[]> = {
  name: 'list of statuses',
  json: { type: 'array', items: { type: ['integer', 'string'] } },
  read: (value) => {
    const entry: FieldKind<number[]> = {
      ...text,
      read: (item) =>
        statusRange(scalarText(item) ?? '') ??
        new Wrong('must be a status (503) or a range of them ("520-529")'),
    };
    const read = list(entry).read(Array.isArray(value) ? value : [value]);
    return read instanceof Wrong ? read : [...new Set(read.flat())];
  },
};

/** An absolute URL, http(s) unless other schemes are named. */
export function url(...schemes: readonly string[]): FieldKind<string> {
  const allowed = schemes.length === 0 ? ['http', 'https'] : schemes;
  return {
    name: 'URL',
    json: { type: 'string' },
    read: (value) => {
      const written = word.read(value);
      if (written instanceof Wrong) return written;
      const parsed = URL.canParse(written) ? new URL(written) : null;
      if (parsed === null || !allowed.includes(parsed.protocol.slice(0, -1)))
        return new Wrong(
          `must be a URL that starts with ${allowed.map((name) => `${name}://`).join(' or ')}`,
        );
      return written;
    },
  };
}

/** A URL that carries a credential: in its user part, its path or its query. */
export function secretUrl(...schemes: readonly string[]): FieldKind<Secret> {
  const plain = url(...schemes);
  return {
    name: 'URL, secret',
    json: plain.json,
    read: (value) => {
      const read = plain.read(value);
      return read instanceof Wrong ? read : new Secret(read);
    },
  };
}

/** A proxy, or the word that leaves the choice to the usual environment variables. */
export const proxyUrl: FieldKind<Secret> = {
  ...secretUrl(),
  name: 'URL, secret | environment',
  read: (value) =>
    scalarText(value) === 'environment' ? new Secret('environment') : secretUrl().read(value),
};

/** `/agent/api`: begins with a slash, ends without one; empty for none. */
export const basePath: FieldKind<string> = {
  name: 'path',
  json: { type: 'string' },
  read: (value) => {
    const read = text.read(value);
    if (read instanceof Wrong) return read;
    const trimmed = read.replace(/\/+$/, '');
    if (trimmed === '') return '';
    return /^(\/[\w.~!$&'()*+,;=:@%-]+)+$/.test(trimmed)
      ? trimmed
      : new Wrong('must be a path such as /agent/api');
  },
};

export const regularExpression: FieldKind<RegExp> = {
  name: 'regular expression',
  json: { type: 'string', format: 'regex' },
  read: (value) => {
    const read = word.read(value);
    if (read instanceof Wrong) return read;
    try {
      return new RegExp(read, 'gu');
    } catch {
      return new Wrong('is no valid regular expression');
    }
  },
};

/** The name of a file that is read here; not its content, which would end in a message when it is not found. */
export const fileName: FieldKind<string> = {
  name: 'file',
  json: { type: 'string' },
  read: (value) => {
    const read = word.read(value);
    if (read instanceof Wrong || !/-----BEGIN|\n/.test(read)) return read;
    return new Wrong('must be the name of a file, is its content');
  },
};

/** `/v1/chat/**`, or `DELETE /v1/models/*`. */
export const pathGlob: FieldKind<string> = {
  name: 'path glob',
  json: { type: 'string' },
  read: (value) => {
    const read = word.read(value);
    if (read instanceof Wrong || read === '*' || /^(?:[A-Z]+ +)?\/\S*$/.test(read)) return read;
    return new Wrong(
      'must be a path that begins with /, or a method in capitals and a path; * and ** stand for any',
    );
  },
};

export const sha256: FieldKind<string> = {
  name: '64 hex digits',
  json: { type: ['string', 'number'] },
  read: (value) => {
    const read = text.read(value);
    if (read instanceof Wrong) return read;
    return /^[0-9a-f]{64}$/i.test(read) ? read.toLowerCase() : new Wrong('must be 64 hex digits');
  },
};

export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

/** Anything that JSON can say; numbers stay numbers here, and an empty value is null. */
export const json: FieldKind<JsonValue> = {
  name: 'any JSON',
  json: {},
  read: toJson,
};

function toJson(value: unknown): JsonValue {
  if (value === undefined || value === null) return null;
  if (value instanceof FileScalar) return value.value;
  if (Array.isArray(value)) return value.map(toJson);
  if (isMapping(value))
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, toJson(entry)]));
  return value as string | number | boolean;
}

/** Text, a number or a boolean, whichever it looks like. */
export const scalar: FieldKind<string | number | boolean> = {
  name: 'text, number, true or false',
  json: { type: ['string', 'number', 'boolean'] },
  read: (value) => {
    const plain = value instanceof FileScalar ? value.value : value;
    if (typeof plain === 'string' || typeof plain === 'number' || typeof plain === 'boolean') return plain;
    return new Wrong(`must be text or a number, is ${kindOf(value)}`);
  },
};

export const jsonMap: FieldKind<Record<string, JsonValue>> = {
  name: 'mapping to any JSON',
  json: { type: 'object' },
  read: (value) =>
    isMapping(value)
      ? (toJson(value) as Record<string, JsonValue>)
      : new Wrong(`must be a mapping, is ${kindOf(value)}`),
};
