import { createHash, createHmac } from 'node:crypto';
import { TemplateError, type TemplateValue } from './expression.ts';

interface TemplateFunction {
  readonly least: number;
  readonly most: number;
  readonly run: (...args: string[]) => TemplateValue;
}

/**
 * The functions of templates. Digests are lower-case hex; a last argument `'base64'` or `'base64url'` asks for
 * another form, as in `hmac_sha256(secret, text, 'base64')`.
 */
export const TEMPLATE_FUNCTIONS: Readonly<Record<string, TemplateFunction>> = {
  base64: of(1, (text) => Buffer.from(text).toString('base64')),
  base64url: of(1, (text) => Buffer.from(text).toString('base64url')),
  hex: of(1, (text) => Buffer.from(text).toString('hex')),
  upper: of(1, (text) => text.toUpperCase()),
  lower: of(1, (text) => text.toLowerCase()),
  urlencode: of(1, (text) => encodeURIComponent(text)),
  json: of(1, (text) => JSON.stringify(text)),
  text: of(1, (text) => text),
  number: of(1, toNumber),
  floor: of(1, (text) => Math.floor(toNumber(text))),
  md5: digest('md5'),
  sha1: digest('sha1'),
  sha256: digest('sha256'),
  sha512: digest('sha512'),
  hmac_md5: hmac('md5'),
  hmac_sha1: hmac('sha1'),
  hmac_sha256: hmac('sha256'),
  hmac_sha512: hmac('sha512'),
};

function of(count: number, run: (text: string) => TemplateValue): TemplateFunction {
  return { least: count, most: count, run: (text = '') => run(text) };
}

function digest(algorithm: string): TemplateFunction {
  return {
    least: 1,
    most: 2,
    run: (text = '', form = 'hex') => createHash(algorithm).update(text).digest(encoding(form)),
  };
}

function hmac(algorithm: string): TemplateFunction {
  return {
    least: 2,
    most: 3,
    run: (key = '', text = '', form = 'hex') =>
      createHmac(algorithm, key).update(text).digest(encoding(form)),
  };
}

function encoding(form: string): 'hex' | 'base64' | 'base64url' {
  if (form === 'hex' || form === 'base64' || form === 'base64url') return form;
  throw new TemplateError("a digest's form is 'hex', 'base64' or 'base64url'");
}

function toNumber(text: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isNaN(number))
    throw new TemplateError('a text that is no number stands where a number is needed');
  return number;
}
