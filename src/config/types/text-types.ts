import { Secret } from '../../lib/secret.ts';
import { isTimeZone } from '../../lib/time-zone.ts';
import { didYouMean } from '../load/nearest-key.ts';
import { type FieldType, InvalidValue } from './fields.ts';
import { kindOf, scalarText } from './scalar.ts';

/** Text, as written: `0123` and `true` stay what they look like. */
export const text: FieldType<string> = {
  name: 'text',
  json: { type: ['string', 'number', 'boolean'] },
  read: (value) => scalarText(value) ?? new InvalidValue(`must be text, is ${kindOf(value)}`),
};

/** Text that means something, so that an empty one is a mistake. */
export const word: FieldType<string> = {
  ...text,
  read: (value) => {
    const read = text.read(value);
    return read === '' ? new InvalidValue('is empty') : read;
  },
};

export const secret: FieldType<Secret> = {
  name: 'secret',
  json: text.json,
  read: (value) => {
    const read = word.read(value);
    return read instanceof InvalidValue ? read : new Secret(read);
  },
};

/** The word instead of a key that forwards the client's own header. */
const AS_IS = 'asis';

/** An upstream's static key, or the word that forwards the client's own. */
export const upstreamKey: FieldType<Secret | typeof AS_IS> = {
  ...secret,
  read: (value) => (scalarText(value) === AS_IS ? AS_IS : secret.read(value)),
};

/** `key-one, key-two`, as in openai-api-route, or a list. */
export const secretsByComma: FieldType<Secret[]> = {
  name: 'secrets, comma separated or a list',
  json: { type: ['string', 'number', 'array'] },
  read: (value) => {
    const texts = Array.isArray(value) ? value.map(scalarText) : [scalarText(value)];
    const keys: Secret[] = [];
    for (const part of texts) {
      if (part === null) return new InvalidValue(`must be text, is ${kindOf(value)}`);
      for (const key of part.split(',')) if (key.trim() !== '') keys.push(new Secret(key.trim()));
    }
    return keys;
  },
};

/** One of these words. */
export function choice<const Word extends string>(...words: readonly Word[]): FieldType<Word> {
  return {
    name: words.join(' | '),
    json: { enum: words },
    read: (value) => {
      const written = scalarText(value);
      const found = words.find((candidate) => candidate === written);
      if (found !== undefined) return found;
      return new InvalidValue(`must be one of ${words.join(', ')}${didYouMean(written ?? '', words)}`);
    },
  };
}

/** An offset such as `+08:00`, or an IANA name. */
export const timeZone: FieldType<string> = {
  name: 'time zone',
  json: { type: 'string' },
  read: (value) => {
    const written = word.read(value);
    return written instanceof InvalidValue || isTimeZone(written)
      ? written
      : new InvalidValue('must be a time zone such as +08:00 or Asia/Shanghai');
  },
};

/** An absolute URL, http(s) unless other schemes are named. */
export function url(...schemes: readonly string[]): FieldType<string> {
  const allowed = schemes.length === 0 ? ['http', 'https'] : schemes;
  return {
    name: 'URL',
    json: { type: 'string' },
    read: (value) => {
      const written = word.read(value);
      if (written instanceof InvalidValue) return written;
      const parsed = URL.canParse(written) ? new URL(written) : null;
      if (parsed === null || !allowed.includes(parsed.protocol.slice(0, -1)))
        return new InvalidValue(
          `must be a URL that starts with ${allowed.map((name) => `${name}://`).join(' or ')}`,
        );
      return written;
    },
  };
}

/** An absolute URL, http(s), or this word. */
export function urlOrWord(literal: string): FieldType<string> {
  const plain = url();
  return {
    name: `URL, or \`${literal}\``,
    json: plain.json,
    read: (value) => (value === literal ? literal : plain.read(value)),
  };
}

/** A URL that carries a credential: in its user part, its path or its query. */
export function secretUrl(...schemes: readonly string[]): FieldType<Secret> {
  const plain = url(...schemes);
  return {
    name: 'URL, secret',
    json: plain.json,
    read: (value) => {
      const read = plain.read(value);
      return read instanceof InvalidValue ? read : new Secret(read);
    },
  };
}

/** A proxy, or the word for the usual environment variables. */
export const proxyUrl: FieldType<Secret> = {
  ...secretUrl(),
  name: 'URL, secret | environment',
  read: (value) =>
    scalarText(value) === 'environment' ? new Secret('environment') : secretUrl().read(value),
};

/** `/agent/api`: begins with a slash, ends without one; empty for none. */
export const basePath: FieldType<string> = {
  name: 'path',
  json: { type: 'string' },
  read: (value) => {
    const read = text.read(value);
    if (read instanceof InvalidValue) return read;
    const trimmed = read.replace(/\/+$/, '');
    if (trimmed === '') return '';
    return /^(\/[\w.~!$&'()*+,;=:@%-]+)+$/.test(trimmed)
      ? trimmed
      : new InvalidValue('must be a path such as /agent/api');
  },
};

export const regularExpression: FieldType<RegExp> = {
  name: 'regular expression',
  json: { type: 'string', format: 'regex' },
  read: (value) => {
    const read = word.read(value);
    if (read instanceof InvalidValue) return read;
    try {
      return new RegExp(read, 'g');
    } catch {
      return new InvalidValue('is not a valid regular expression');
    }
  },
};

/** The name of a file that is read here; not its content, which would end in a message when it is not found. */
export const fileName: FieldType<string> = {
  name: 'file',
  json: { type: 'string' },
  read: (value) => {
    const read = word.read(value);
    if (read instanceof InvalidValue || !/-----BEGIN|\n/.test(read)) return read;
    return new InvalidValue('must be the name of a file, not its content');
  },
};

/** `/v1/chat/**`, or `DELETE /v1/models/*`. */
export const pathGlob: FieldType<string> = {
  name: 'path glob',
  json: { type: 'string' },
  read: (value) => {
    const read = word.read(value);
    if (read instanceof InvalidValue || read === '*' || /^(?:[A-Z]+ +)?\/\S*$/.test(read)) return read;
    return new InvalidValue(
      'must be a path that begins with /, or a method in capitals and a path; * and ** are wildcards',
    );
  },
};

export const sha256: FieldType<string> = {
  name: '64 hex digits',
  json: { type: ['string', 'number'] },
  read: (value) => {
    const read = text.read(value);
    if (read instanceof InvalidValue) return read;
    return /^[0-9a-f]{64}$/i.test(read) ? read.toLowerCase() : new InvalidValue('must be 64 hex digits');
  },
};
