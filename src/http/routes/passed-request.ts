import { type BodyFields, noFields, readFormBody, readJsonBody } from '../../openai/request/body-fields.ts';
import { refuseCostlyJson } from '../../openai/request/parsed-request.ts';
import type { BodyReader } from '../body/body-reader.ts';
import { Upload, uploadTooLarge } from '../body/upload.ts';
import type { RequestContext } from '../middleware/request-context.ts';

export interface PassedBodyLimits {
  readonly bodies: BodyReader;
  /** Maximum of a JSON body. */
  readonly bodyLimitBytes: number;
  /** A body up to this size is buffered, so that it can be sent again and its model is known. */
  readonly replayLimitBytes: number;
  /** Maximum of a body that is streamed through. */
  readonly uploadLimitBytes: number;
}

/** The body of a passed-through request. */
export interface PassedBody {
  readonly body: Buffer | Upload | null;
  readonly fields: BodyFields;
  readonly isJson: boolean;
}

const NOTHING = Buffer.alloc(0);
/** White space before an object is searched no further. Bytes. */
const OBJECT_BEGINS_WITHIN = 1024;
/** A form whose fields come after so much of it has its path as the model's name. */
const FORM_HEAD_BYTES = 64 * 1024;

/**
 * Buffers the body as far as it is needed to route the request and to send it again; the rest is streamed. `isAlwaysJson`: it is
 * JSON whatever its content-type says, so that `limits.body` holds for it.
 */
export async function readPassedBody(
  context: RequestContext,
  limits: PassedBodyLimits,
  isAlwaysJson = false,
): Promise<PassedBody> {
  const { request, headers } = context;
  const { 'content-length': length, 'transfer-encoding': coding, 'content-type': type = '' } = headers;
  const { bodies, uploadLimitBytes: maxBytes } = limits;
  if (coding === undefined && (length === undefined || length === '0')) {
    request.resume();
    return unknown(null);
  }
  const declared = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
  if (length !== undefined && declared > maxBytes) throw uploadTooLarge(maxBytes);
  // JSON is read whole, also when it comes in chunks of unknown length: its model decides where it goes.
  if (isAlwaysJson || isJson(type)) {
    const body = await bodies.readDecoded(context, limits.bodyLimitBytes);
    context.outcome.requestBytes = body.length;
    return json(body, body.length > 0);
  }
  const isForm = /^multipart\/form-data/i.test(type);
  if (declared <= limits.replayLimitBytes) {
    const body = await (isForm
      ? bodies.readDecoded(context, limits.replayLimitBytes)
      : bodies.read(context, limits.replayLimitBytes));
    context.outcome.requestBytes = body.length;
    if (isForm) return { body, fields: readFormBody(body, type, true), isJson: false };
    // Many servers parse JSON with any content-type, and clients omit the type (S18).
    return isObject(body) ? json(body, false) : unknown(body);
  }
  if (!isForm)
    return unknown(new Upload(context, { bodies, maxBytes, head: NOTHING, fields: noFields(NOTHING) }));
  const { bytes: head, isWhole } = await bodies.readHead(context, FORM_HEAD_BYTES);
  const fields = readFormBody(head, type, isWhole);
  if (!isWhole)
    return { body: new Upload(context, { bodies, maxBytes, head, fields }), fields, isJson: false };
  context.outcome.requestBytes = head.length;
  return { body: head, fields, isJson: false };
}

/** A body without known fields: the path is used as its model. */
function unknown(body: PassedBody['body']): PassedBody {
  return { body, fields: noFields(Buffer.isBuffer(body) ? body : NOTHING), isJson: false };
}

function json(body: Buffer, isDeclared: boolean): PassedBody {
  refuseCostlyJson(body);
  return { body, fields: readJsonBody(body, isDeclared), isJson: true };
}

/** Whether the first character that is no white space (RFC 8259, 2) and no byte order mark begins an object. */
function isObject(body: Buffer): boolean {
  return /^(?:\xef\xbb\xbf)?[ \t\r\n]*\{/.test(body.toString('latin1', 0, OBJECT_BEGINS_WITHIN));
}

/** Not the types that hold several documents: application/json-seq, application/jsonl. */
function isJson(contentType: string): boolean {
  return /^application\/(?:[\w.-]+\+)?json(?![\w.+-])/i.test(contentType);
}
