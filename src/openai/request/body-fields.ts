import { FerryError } from '../../lib/errors/ferry-error.ts';
import { MemberEdits } from '../../lib/json/json-edits.ts';
import { isJsonObject, type JsonObject, parseJson } from '../../lib/json/json-object.ts';
import { readMembers } from '../../lib/json/json-scanner.ts';
import { type FormField, readForm } from '../multipart/multipart-form.ts';
import { parseBody, refuseSecondModel, textOfJson } from './parsed-request.ts';
import { type AdaptedRequest, adaptParameters } from './request-adaptation.ts';

/** The fields of a passed-through body, of which only the model may be changed. */
export interface BodyFields {
  /** A text, number or boolean at the top level as text; null when there is none. */
  get(name: string): string | null;
  /** False: more fields may follow the inspected bytes. */
  readonly isWhole: boolean;
  /** The inspected bytes with another model where they name one; all else byte for byte. */
  withModel(model: string): Buffer;
  /** The parsed JSON object; null for every other body. */
  readonly json: JsonObject | null;
  /** A JSON body with what its upstream does not accept left out, and named; all else byte for byte. */
  adapted(changes: BodyChanges): AdaptedBody;
  /** Inspects what follows those bytes. Throws `invalid_request` for a second model in it. */
  follow(piece: Buffer): void;
}

/** What is changed of a passed-through JSON body. */
interface BodyChanges {
  /** Null: unchanged. */
  readonly model: string | null;
  /** `drop_params` of the profile. */
  readonly dropParams: readonly string[];
  /** What the upstream's refusals have taught. */
  readonly learnedDrops: readonly string[];
}

interface AdaptedBody extends Pick<AdaptedRequest, 'dropped' | 'renamed'> {
  readonly body: Buffer;
}

function unadapted(body: Buffer): AdaptedBody {
  return { body, dropped: [], renamed: [] };
}

/** For bodies without fields, and for those that cannot be parsed. */
export function noFields(bytes: Buffer): BodyFields {
  return {
    isWhole: true,
    json: null,
    get: () => null,
    withModel: () => bytes,
    adapted: () => unadapted(bytes),
    follow: () => undefined,
  };
}

/**
 * The fields of a JSON body; anything but a JSON object has none. Throws `invalid_request` for two models, and
 * `invalid_json` for a body that `isDeclared` as JSON and is not: Python parses `NaN` and UTF-16, and with them a model
 * that the gateway would miss.
 */
export function readJsonBody(body: Buffer, isDeclared = false): BodyFields {
  const parsed = isDeclared
    ? parseBody(withoutMark(textOfJson(body)))
    : parseJson(withoutMark(body.toString('utf8')));
  const json = isJsonObject(parsed) ? parsed : null;
  if (json !== null) refuseSecondModel(Object.keys(json));
  // Bytes as characters: positions are those of the bytes, and everything else stays byte for byte.
  const text = body.toString('latin1');
  const members = json === null ? [] : readMembers(text);
  const models = members.filter(({ key }) => key === 'model').length;
  if (models > 1) throw twoModels();
  return {
    isWhole: true,
    get: (name) => (json !== null && Object.hasOwn(json, name) ? textOf(json[name]) : null),
    withModel: (model) => {
      if (models === 0) return body;
      const edits = new MemberEdits(text, members);
      edits.replace('model', Buffer.from(JSON.stringify(model)).toString('latin1'));
      return Buffer.from(edits.toString(), 'latin1');
    },
    json,
    adapted: (changes) => {
      if (json === null) return unadapted(body);
      const stream = json.stream === true;
      const { text: adaptedText, ...named } = adaptParameters({ text, members, json, stream }, changes);
      return { ...named, body: adaptedText === text ? body : Buffer.from(adaptedText, 'latin1') };
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
    json: null,
    adapted: () => unadapted(bytes),
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

/** Without the byte order mark, which JSON.parse does not accept. */
function withoutMark(text: string): string {
  return text.replace(/^\ufeff/, '');
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null;
}

/** The gateway would check one and the upstream might use the other, which the client may not be allowed to use. */
function twoModels(): FerryError {
  return new FerryError('invalid_request', {
    message: 'The request body has "model" twice. Send it once.',
    param: 'model',
  });
}
