import { FerryError } from '../../lib/errors/ferry-error.ts';
import { MemberEdits } from '../../lib/json/json-edits.ts';
import { readMembers } from '../../lib/json/json-scanner.ts';
import { type FormField, readForm } from '../multipart/multipart-form.ts';
import { parseBody, refuseSecondModel, textOfJson } from './json-body.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What a passed-through body says of itself, and the one thing in it that may be changed: the model's name. */
export interface BodyFields {
  /** A text, number or boolean at the top level as text; null when there is none. */
  get(name: string): string | null;
  /** False: fields may follow that were not looked at. */
  readonly isWhole: boolean;
  /** The bytes that were looked at, with another model where they name one; all else byte for byte. */
  withModel(model: string): Buffer;
  /** Takes what comes behind the bytes that were looked at. Throws `invalid_request` for a second model in it. */
  follow(piece: Buffer): void;
}

/** For bodies without fields, and for those of which nothing can be read. */
export function noFields(bytes: Buffer): BodyFields {
  return { isWhole: true, get: () => null, withModel: () => bytes, follow: () => undefined };
}

/**
 * The fields of a JSON body; what is no JSON object has none. Throws `invalid_request` for two models, and `invalid_json`
 * for no JSON where it `isDeclared` to be: Python reads `NaN` and UTF-16, and with them a model that we would not see.
 */
export function readJsonBody(body: Buffer, isDeclared = false): BodyFields {
  const json = isDeclared ? objectOf(parseBody(withoutMark(textOfJson(body)))) : objectIn(body);
  if (json !== null) refuseSecondModel(Object.keys(json));
  // Bytes as characters: positions are those of the bytes, and what is not touched comes back as it was.
  const text = body.toString('latin1');
  const models = json === null ? [] : readMembers(text).filter(({ key }) => key === 'model');
  if (models.length > 1) throw twoModels();
  return {
    isWhole: true,
    get: (name) => (json !== null && Object.hasOwn(json, name) ? textOf(json[name]) : null),
    withModel: (model) => {
      if (models.length === 0) return body;
      const edits = new MemberEdits(text);
      edits.replace('model', Buffer.from(JSON.stringify(model)).toString('latin1'));
      return Buffer.from(edits.toString(), 'latin1');
    },
    follow: () => undefined,
  };
}

/**
 * The fields of a multipart form, of which `bytes` is the beginning or, when `isWhole`, all. Throws `invalid_request`
 * for two models, and for a form that an upstream could read in another way.
 */
export function readFormBody(bytes: Buffer, contentType: string, isWhole: boolean): BodyFields {
  const { fields, follow } = readForm(bytes, contentType, isWhole);
  return {
    isWhole,
    follow,
    get: (name) => {
      const field = fields.find((one) => one.name === name);
      return field === undefined ? null : textAt(bytes, field);
    },
    withModel: (model) => {
      const field = fields.find(({ name }) => name === 'model');
      if (field === undefined) return bytes;
      const { valueStart, valueEnd } = field;
      return Buffer.concat([bytes.subarray(0, valueStart), Buffer.from(model), bytes.subarray(valueEnd)]);
    },
  };
}

function textAt(bytes: Buffer, { valueStart, valueEnd }: FormField): string {
  return bytes.toString('utf8', valueStart, valueEnd);
}

function objectIn(body: Buffer): Fields | null {
  try {
    return objectOf(JSON.parse(withoutMark(body.toString('utf8'))));
  } catch {
    return null;
  }
}

function objectOf(json: unknown): Fields | null {
  return typeof json === 'object' && json !== null && !Array.isArray(json) ? (json as Fields) : null;
}

/** Without the byte order mark, which JSON.parse does not know. */
function withoutMark(text: string): string {
  return text.replace(/^\ufeff/, '');
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

/** We would go by one and an upstream perhaps by the other: a way around the models that a client may use. */
function twoModels(): FerryError {
  return new FerryError('invalid_request', {
    message: 'The request body has "model" twice.',
    param: 'model',
  });
}
