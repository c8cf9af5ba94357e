import { isUtf8 } from 'node:buffer';
import type { IncomingMessage } from 'node:http';
import { endpointOf } from '../../endpoints.ts';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { mediaRequestOf } from '../../openai/media/media-request.ts';
import { type BodyFields, noFields, readFormBody, readJsonBody } from '../../openai/request/body-fields.ts';
import { refuseCostlyJson } from '../../openai/request/json-body.ts';
import { refuseLongModelName } from '../../routing/candidates.ts';
import type { Matcher } from '../../routing/glob.ts';
import type { ClientIdentity, RoutedRequest } from '../../routing/routed-request.ts';
import type { Router } from '../../routing/router.ts';
import type { AttemptPolicy } from '../../routing/services/attempt-policy.ts';
import { PassThroughService } from '../../routing/services/pass-through-service.ts';
import type { RoutedUpstream } from '../../routing/upstream-state/routed-upstream.ts';
import type { BodyReader } from '../body/body-reader.ts';
import { Upload, uploadTooLarge } from '../body/upload.ts';
import { ALLOWED_METHODS } from '../middleware/cross-origin.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { relayRaw } from '../response/raw.ts';
import { notOffered, unknownToAll } from './unsupported-endpoint.ts';

export interface PassThroughSettings {
  readonly router: Router;
  readonly policy: AttemptPolicy;
  readonly bodies: BodyReader;
  /** Patterns of `METHOD /path` and `/path` that are refused. */
  readonly isDenied: Matcher;
  /** The longest JSON body. */
  readonly bodyLimitBytes: number;
  /** A body up to this size is buffered, so that it can be sent again and its model is known. */
  readonly replayLimitBytes: number;
  /** The most that is streamed through. */
  readonly uploadLimitBytes: number;
}

/** Serves any other `/v1/*` path by handing request and reply through. */
export async function passThrough(
  context: RequestContext,
  client: ClientIdentity,
  settings: PassThroughSettings,
): Promise<void> {
  const { request } = context;
  const method = request.method ?? 'GET';
  if (method === 'TRACE') {
    // Its answer repeats the request's headers, and among them the upstream's token.
    context.response.setHeader('allow', ALLOWED_METHODS);
    throw new FerryError('method_not_allowed', { message: `TRACE is not possible on ${context.path}.` });
  }
  refuseDenied(context, settings);
  const sent = await bodyToSend(context, settings);
  try {
    await serve(context, client, { method, ...sent }, settings);
  } finally {
    if (sent.body instanceof Upload) sent.body.drop();
  }
}

interface Sent extends SentBody {
  readonly method: string;
}

async function serve(
  context: RequestContext,
  client: ClientIdentity,
  sent: Sent,
  settings: PassThroughSettings,
): Promise<void> {
  const named = sent.fields.get('model') || null;
  const model = named ?? context.path;
  context.outcome.model = model;
  context.outcome.isStream = asksForEvents(context, sent.fields);
  if (named !== null) refuseLongModelName(named);
  const routed = context.routed(model, client);
  const candidates = candidatesFor(routed, settings.router);
  const service = new PassThroughService(
    {
      ...sent,
      isGeneration: endpointOf(context.path).isGeneration,
      wish: mediaRequestOf(sent.method, context.path, sent.fields),
    },
    settings.policy,
  );
  const answer = await settings.router.run(routed, service, candidates).catch((error: unknown) => {
    throw error instanceof FerryError && error.kind === 'path_not_found'
      ? unknownToAll(context.path, askedIn(context), error)
      : error;
  });
  context.outcome.isKnownModel = settings.router.isKnownModel(model);
  await relayRaw(context, answer);
}

/** `stream` in a body or a query (a Response that is read once more), `stream_format` of speech, or the header for it. */
function asksForEvents({ query, request }: RequestContext, fields: BodyFields): boolean {
  if (/^true$/i.test(fields.get('stream') ?? '') || fields.get('stream_format') === 'sse') return true;
  return (
    /[?&]stream=true(?:&|$)/i.test(`?${query}`) ||
    /\btext\/event-stream\b/i.test(request.headers.accept ?? '')
  );
}

function candidatesFor(routed: RoutedRequest, router: Router): readonly RoutedUpstream[] {
  try {
    // What was put at one upstream has to be found there again, whatever the policy is.
    return endpointOf(routed.path).isStateful
      ? router.candidates(routed, 'order').slice(0, 1)
      : router.candidates(routed);
  } catch (error) {
    const isUnnamed = routed.model === routed.path;
    throw isUnnamed && error instanceof FerryError && error.kind === 'model_not_found'
      ? notOffered(routed.path)
      : error;
  }
}

/** Upstreams that were asked and did not know the path, oldest attempt first. */
export function askedIn({ outcome: { log } }: RequestContext): readonly string[] {
  return log.attempts.filter(({ outcome }) => outcome === 'path_not_found').map(({ upstream }) => upstream);
}

/** Throws `not_permitted` for what `pass_through.deny` names. */
export function refuseDenied(context: RequestContext, { isDenied }: PassThroughSettings): void {
  const { path, request } = context;
  const method = request.method ?? 'GET';
  if (!isDenied(path) && !isDenied(`${method} ${path}`)) return;
  throw new FerryError('not_permitted', { message: `${method} ${path} is refused by pass_through.deny.` });
}

interface SentBody {
  readonly body: Buffer | Upload | null;
  readonly fields: BodyFields;
  readonly isJson: boolean;
}

const NOTHING = Buffer.alloc(0);

/** White space before an object; nobody sends more. Bytes. */
const OBJECT_BEGINS_WITHIN = 1024;

/** A form whose fields come after so much of it has its path as the model's name. */
const FORM_HEAD_BYTES = 64 * 1024;

async function bodyToSend(context: RequestContext, settings: PassThroughSettings): Promise<SentBody> {
  const { request } = context;
  const {
    'content-length': length,
    'transfer-encoding': coding,
    'content-type': type = '',
  } = request.headers;
  if (coding === undefined && (length === undefined || length === '0')) {
    request.resume();
    return unread(null);
  }
  const declared = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
  if (length !== undefined && declared > settings.uploadLimitBytes)
    throw uploadTooLarge(settings.uploadLimitBytes);
  // JSON is read whole, also when it comes in chunks of unknown length: its model decides where it goes.
  if (isJson(request)) {
    const body = await readWhole(context, settings, settings.bodyLimitBytes);
    return jsonToSend(body, body.length > 0 && !isPacked(request, body));
  }
  const isForm = /^multipart\/form-data/i.test(type);
  if (declared <= settings.replayLimitBytes) {
    const body = await readWhole(context, settings, settings.replayLimitBytes);
    if (isForm) return { body, fields: readFormBody(body, type, true), isJson: false };
    // Many servers read JSON whatever its type says, and clients leave the type out (S18).
    return isObject(body) ? jsonToSend(body) : unread(body);
  }
  const { bodies, uploadLimitBytes: maxBytes } = settings;
  if (!isForm) {
    const fields = noFields(NOTHING);
    return unread(new Upload(context, { bodies, maxBytes, head: NOTHING, fields }));
  }
  const { bytes: head, isWhole } = await bodies.readHead(context, FORM_HEAD_BYTES);
  const fields = readFormBody(head, type, isWhole);
  if (!isWhole)
    return { body: new Upload(context, { bodies, maxBytes, head, fields }), fields, isJson: false };
  context.outcome.requestBytes = head.length;
  return { body: head, fields, isJson: false };
}

/** A body of which nothing is known: its path stands for its model. */
function unread(body: SentBody['body']): SentBody {
  return { body, fields: noFields(Buffer.isBuffer(body) ? body : NOTHING), isJson: false };
}

function jsonToSend(body: Buffer, isDeclared = false): SentBody {
  refuseCostlyJson(body);
  return { body, fields: readJsonBody(body, isDeclared), isJson: true };
}

/** Whether the first character that is no white space (RFC 8259, 2) and no byte order mark begins an object. */
function isObject(body: Buffer): boolean {
  return /^(?:\xef\xbb\xbf)?[ \t\r\n]*\{/.test(body.toString('latin1', 0, OBJECT_BEGINS_WITHIN));
}

async function readWhole(
  context: RequestContext,
  settings: PassThroughSettings,
  limitBytes: number,
): Promise<Buffer> {
  const body = await settings.bodies.read(context, limitBytes);
  context.outcome.requestBytes = body.length;
  return body;
}

/** Whether the body is compressed, as its header says: text is not, whatever the header says. */
function isPacked({ headers }: IncomingMessage, body: Buffer): boolean {
  return (headers['content-encoding'] ?? 'identity') !== 'identity' && !isUtf8(body);
}

/** Not the kin that holds several documents: application/json-seq, application/jsonl. */
function isJson(request: IncomingMessage): boolean {
  return /^application\/(?:[\w.-]+\+)?json(?![\w.+-])/i.test(request.headers['content-type'] ?? '');
}
