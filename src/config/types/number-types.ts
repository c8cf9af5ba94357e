import { type FieldType, InvalidValue } from './fields.ts';
import { durationMs, sizeBytes, writtenDuration } from './quantities.ts';
import { FileScalar, isMapping, kindOf, scalarText } from './scalar.ts';

/** A value that the environment fills in later passes an editor's check. */
const INTERPOLATED = { type: 'string', pattern: '\\$\\{' } as const;

const YES_NO: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  false: false,
  no: false,
  off: false,
};

/** true or false; YAML 1.1's yes, no, on and off too, because there is nothing else that they could mean here. */
export const flag: FieldType<boolean> = {
  name: 'true | false',
  json: { anyOf: [{ type: 'boolean' }, INTERPOLATED] },
  read: (value) =>
    YES_NO[scalarText(value)?.toLowerCase() ?? ''] ??
    new InvalidValue(`must be true or false, is ${kindOf(value)}`),
};

interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** Timers cannot be set further ahead than 2^31 - 1 ms, a bit over 24 days. */
const MAX_TIMER_MS = 24 * 86_400_000;

/** Null when `amount` is in range; else the limit that it breaks, as it would be written. */
function outside(
  amount: number,
  range: Range,
  written: (amount: number) => string = String,
): InvalidValue | null {
  if (range.min !== undefined && amount < range.min)
    return new InvalidValue(`must be at least ${written(range.min)}`);
  if (range.max !== undefined && amount > range.max)
    return new InvalidValue(`must be at most ${written(range.max)}`);
  return null;
}

/** Text counts as a number only when it was filled in: `"8"` in quotes is a mistake elsewhere. */
function readNumber(value: unknown): number | InvalidValue {
  const plain = value instanceof FileScalar ? value.value : value;
  const isFilledIn = value instanceof FileScalar && value.isInterpolated;
  const amount = isFilledIn && /^\s*-?\d+(\.\d+)?\s*$/.test(value.text) ? Number(value.text) : plain;
  if (typeof amount === 'number' && Number.isFinite(amount)) return amount;
  const hint = typeof plain === 'string' && !isFilledIn ? '; write it without quotes' : '';
  return new InvalidValue(`must be a number, is ${kindOf(value)}${hint}`);
}

export function number(range: Range = {}): FieldType<number> {
  return {
    name: 'number',
    json: { anyOf: [{ type: 'number', ...jsonRange(range) }, INTERPOLATED] },
    read: (value) => {
      const amount = readNumber(value);
      return amount instanceof InvalidValue ? amount : (outside(amount, range) ?? amount);
    },
  };
}

export function integer(range: Range = {}): FieldType<number> {
  return {
    name: 'whole number',
    json: { anyOf: [{ type: 'integer', ...jsonRange(range) }, INTERPOLATED] },
    read: (value) => {
      const amount = readNumber(value);
      if (amount instanceof InvalidValue) return amount;
      return Number.isSafeInteger(amount)
        ? (outside(amount, range) ?? amount)
        : new InvalidValue('must be a whole number');
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
 * no longer than a timer can run unless it is configured.
 */
export function duration(range: Range = {}): FieldType<number> {
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
        return new InvalidValue('must be a duration: seconds as a number, or 500ms, 30s, 5m, 2h, 30d');
      return outside(ms, { max: MAX_TIMER_MS, ...range }, writtenDuration) ?? ms;
    },
  };
}

/** A size in bytes; in the file bytes as a number, or with its unit. */
export function size(range: Range = {}): FieldType<number> {
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
      if (bytes === null) return new InvalidValue('must be a size: bytes as a number, or 64KiB, 8MiB, 1GiB');
      return outside(bytes, range) ?? bytes;
    },
  };
}

/** The limits of an upstream's rate: calls and tokens a minute (0: learned), and the longest wait in milliseconds. */
interface Pace {
  rpm: number;
  tpm: number;
  max_wait: number;
}

const PER_MINUTE = integer({ min: 0 });
const PACE_KEYS = { rpm: PER_MINUTE, tpm: PER_MINUTE, max_wait: duration() } as const;
const AUTO_PACE: Readonly<Pace> = { rpm: 0, tpm: 0, max_wait: 300_000 };

/** `auto`, `off` (null), or a mapping of limits. */
export const pace: FieldType<Readonly<Pace> | null> = {
  name: 'auto | off | mapping',
  json: {
    anyOf: [
      { enum: ['auto', 'off'] },
      {
        type: 'object',
        properties: {
          rpm: { ...PER_MINUTE.json, description: 'Calls a minute; 0: learned.' },
          tpm: { ...PER_MINUTE.json, description: 'Tokens a minute; 0: learned.' },
          max_wait: { ...PACE_KEYS.max_wait.json, description: 'Maximum wait of one request for its turns.' },
        },
        additionalProperties: false,
      },
    ],
  },
  read: (value) => {
    if (!isMapping(value)) {
      const written = scalarText(value);
      if (written === 'auto') return AUTO_PACE;
      return written === 'off'
        ? null
        : new InvalidValue(`must be auto, off or a mapping of rpm, tpm and max_wait, is ${kindOf(value)}`);
    }
    const limits: Pace = { ...AUTO_PACE };
    const problems: { path: readonly PropertyKey[]; message: string }[] = [];
    for (const [key, entry] of Object.entries(value)) {
      const type = isPaceKey(key)
        ? PACE_KEYS[key].read(entry)
        : new InvalidValue('is unknown; known are rpm, tpm and max_wait');
      if (type instanceof InvalidValue) problems.push({ path: [key], message: type.message });
      else if (isPaceKey(key)) limits[key] = type;
    }
    return problems.length === 0 ? limits : new InvalidValue('is invalid', problems);
  },
};

function isPaceKey(key: string): key is keyof typeof PACE_KEYS {
  return Object.hasOwn(PACE_KEYS, key);
}
