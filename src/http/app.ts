import type { IncomingMessage, ServerResponse } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from 'express';
import { asFerryError, FerryError } from '../lib/errors/ferry-error.ts';
import { counted } from '../lib/text/format.ts';
import type { ModelList } from '../routing/model-list.ts';
import type { ClientIdentity } from '../routing/routed-request.ts';
import type { BodyReader } from './body/body-reader.ts';
import { type ClientAuth, refuseForbiddenPath } from './middleware/client-auth.ts';
import type { ClientLimits } from './middleware/client-limits.ts';
import { refuseForeignHosts, sendPreflight } from './middleware/cross-origin.ts';
import { RequestForm } from './middleware/http-conformance.ts';
import { type RecordingSettings, RequestContext } from './middleware/request-context.ts';
import { barePath, type RequestPath, type RequestPaths } from './middleware/request-path.ts';
import { type RunningRequests, restarting } from './middleware/running-requests.ts';
import type { UseCount } from './middleware/use-count.ts';
import { sendError } from './response/errors.ts';
import { type ChatRouteSettings, serveChat } from './routes/chat.ts';
import { type EmbeddingsRouteSettings, serveEmbeddings, serveRerank } from './routes/embeddings.ts';
import { answerLive, answerReady, type Readiness } from './routes/health.ts';
import { listModels, showModel } from './routes/models.ts';
import { type PassThroughSettings, passThrough } from './routes/pass-through.ts';
import { ResponseItemStore } from './routes/response-item-store.ts';
import { serveResponses } from './routes/responses.ts';

/** Everything that one configuration gives the routes; replaced as a whole on reload. */
export interface RuntimeRoutes {
  /** Counts the routes that use it. */
  readonly use: UseCount;
  readonly paths: RequestPaths;
  readonly auth: ClientAuth;
  readonly clientLimits: ClientLimits;
  readonly bodies: BodyReader;
  readonly models: ModelList;
  readonly chat: ChatRouteSettings;
  readonly embeddings: EmbeddingsRouteSettings;
  readonly passThrough: PassThroughSettings;
  readonly recording: RecordingSettings;
  readonly metricsNeedKey: boolean;
  /** True: no keys are configured, so only this machine is answered. */
  readonly isLoopbackOnly: boolean;
  /** Requests at once; more get 503. */
  readonly mostRequests: number;
  clientIp(request: IncomingMessage): string;
}

export interface AppParts {
  readonly requests: RunningRequests;
  /** Read once at the start of each request, so that running requests finish on the old configuration. */
  runtime(): RuntimeRoutes;
  readiness(): Readiness;
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
  /** Called with 1 at the start and -1 at the end of each request. */
  onInflight(step: 1 | -1): void;
  /** A mistake of ours that a client got as 500. */
  onInternalError(error: FerryError): void;
}

interface Locals {
  runtime: RuntimeRoutes;
  context: RequestContext;
  path: RequestPath;
}

type ClientRoute = (context: RequestContext, client: ClientIdentity, runtime: RuntimeRoutes) => Promise<void>;

/** The order of middleware and routes: what has a meaning of its own, then all else of the API. */
export function createApp(parts: AppParts): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', false);
  app.set('strict routing', true);

  const form = new RequestForm();
  app.use((request, response, next) => enter(parts, form, request, response, next));
  addGenerations(app);
  addVectors(app);
  addOpenRoutes(app, parts);
  addModels(app);
  app.all(
    /^\/v1\/./,
    serve((context, client, { passThrough: settings }) => passThrough(context, client, settings)),
  );
  app.use((_request, response) => {
    throw unknownPath(localsOf(response).context);
  });
  app.use(errorHandler(parts));
  return app;
}

function addGenerations(app: Express): void {
  const items = new ResponseItemStore();
  app.post(
    '/v1/chat/completions',
    serve((context, client, { chat }) => serveChat(context, client, 'chat', chat)),
  );
  app.post(
    '/v1/completions',
    serve((context, client, { chat }) => serveChat(context, client, 'completions', chat)),
  );
  app.all(['/v1/chat/completions', '/v1/completions'], only('POST'));
  // Its other methods are handed through.
  app.post(
    '/v1/responses',
    serve((context, client, { chat, passThrough: handed }) =>
      serveResponses(context, client, chat, handed, items),
    ),
  );
}

function addVectors(app: Express): void {
  app.post(
    '/v1/embeddings',
    serve((context, client, { embeddings }) => serveEmbeddings(context, client, embeddings)),
  );
  app.post(
    '/v1/rerank',
    serve((context, client, { embeddings }) => serveRerank(context, client, embeddings)),
  );
  app.all(['/v1/embeddings', '/v1/rerank'], only('POST'));
}

/** The short list of routes that need no client; all else does. */
function addOpenRoutes(app: Express, parts: AppParts): void {
  app.get('/livez', (_request, response) => answerLive(localsOf(response).context));
  app.get(['/readyz', '/health'], (_request, response) =>
    answerReady(localsOf(response).context, parts.readiness()),
  );
  app.get(['/metrics', '/v1/metrics'], (_request, response) => answerMetrics(parts, response));
  app.all(['/livez', '/readyz', '/health', '/metrics', '/v1/metrics'], only('GET'));
}

function addModels(app: Express): void {
  app.get(
    '/v1/models',
    serve((context, client, { models }) => listModels(context, client, models), 'free'),
  );
  app.get(
    /^\/v1\/models\/./,
    serve((context, client, { models }) => showModel(context, client, models), 'free'),
  );
  app.all('/v1/models', only('GET'));
}

/** Gives the request its context and its normalised path, which is what the routes below match. */
function enter(
  parts: AppParts,
  form: RequestForm,
  request: Request,
  response: Response,
  next: () => void,
): void {
  const runtime = parts.runtime();
  const exchange = { request, response, ip: runtime.clientIp(request) };
  let path: RequestPath;
  let refusal: FerryError | null = null;
  try {
    form.check(request);
    path = runtime.paths.read(request.url);
  } catch (error) {
    refusal = asFerryError(error);
    path = { path: barePath(request.url), query: '', isApi: false };
    response.shouldKeepAlive = false;
    form.refused(request);
  }
  const context = new RequestContext({ ...exchange, path: path.path, query: path.query }, runtime.recording);
  const locals: Locals = { runtime, context, path };
  response.locals = locals as unknown as Response['locals'];
  begin(parts, context);
  if (refusal !== null) throw refusal;
  if (OPEN_PATHS.has(path.path)) {
    if (runtime.isLoopbackOnly && path.path !== '/livez') refuseForeignHosts(request.headers);
    request.url = path.path;
    next();
    return;
  }
  refuseWhenFull(parts, runtime);
  if (request.method === 'OPTIONS' && path.path.startsWith('/v1')) {
    sendPreflight(context);
    return;
  }
  if (runtime.isLoopbackOnly) refuseForeignHosts(request.headers);
  request.url = path.path;
  next();
}

/** Probes and metrics answer whatever the load, and while draining. */
const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz', '/health', '/metrics', '/v1/metrics']);

function begin(parts: AppParts, context: RequestContext): void {
  parts.requests.add(context);
  parts.onInflight(1);
  context.response.on('close', () => {
    context.closed();
    parts.requests.delete(context);
    parts.onInflight(-1);
  });
}

function refuseWhenFull(parts: AppParts, runtime: RuntimeRoutes): void {
  if (parts.requests.isRefusing) {
    throw restarting();
  }
  if (parts.requests.count > runtime.mostRequests) {
    throw new FerryError('overloaded', {
      message: `More than ${counted(runtime.mostRequests, 'request')} at once (limits.concurrency). Try again in a moment.`,
    });
  }
}

/** `free`: no upstream is asked, so it does not count against the client's limits. */
function serve(
  route: ClientRoute,
  cost: 'counted' | 'free' = 'counted',
): (request: Request, response: Response) => Promise<void> {
  return async (_request, response) => {
    const { context, runtime, path } = localsOf(response);
    if (!path.isApi) throw unknownPath(context);
    const client = runtime.auth.identify(context.request.headers);
    context.outcome.client = client;
    refuseForbiddenPath(context, client);
    const quota = cost === 'free' ? null : runtime.clientLimits.of(client);
    runtime.use.begin();
    try {
      if (quota === null) await route(context, client, runtime);
      else await quota.run(context, () => route(context, client, runtime));
    } finally {
      runtime.bodies.release(context);
      runtime.use.end();
    }
    context.served();
  };
}

function only(method: string): (request: Request, response: Response) => void {
  return (request, response) => {
    response.setHeader('allow', `${method}, OPTIONS`);
    throw new FerryError('method_not_allowed', {
      message: `${request.method} is not possible on ${localsOf(response).context.path}; use ${method}.`,
    });
  };
}

async function answerMetrics(parts: AppParts, response: Response): Promise<void> {
  const { context, runtime } = localsOf(response);
  if (runtime.metricsNeedKey) runtime.auth.identify(context.request.headers);
  const { text, contentType } = await parts.metrics();
  response.writeHead(200, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'x-request-id': context.id,
  });
  response.end(text);
}

/** What a person sees who opens the base URL in a browser. */
const BASE_URL_ITSELF =
  'This is tokenferry. The base URL for applications ends with /v1; they append a path, e.g. /v1/chat/completions. GET /v1/models lists the models.';

function unknownPath(context: RequestContext): FerryError {
  return new FerryError('unknown_path', {
    message:
      context.path === '/v1'
        ? BASE_URL_ITSELF
        : `There is nothing at ${context.path.slice(0, 200)}. The base URL of the API ends with /v1, e.g. /v1/chat/completions.`,
  });
}

function errorHandler(parts: AppParts): ErrorRequestHandler {
  return (thrown, _request, response, _next) => {
    const { context } = localsOf(response);
    const error = isMalformedTarget(thrown)
      ? new FerryError('invalid_request', {
          message: 'The path of the request is not valid percent-encoding.',
        })
      : asFerryError(thrown);
    if (error.kind === 'internal') parts.onInternalError(error);
    sendError(context, error);
    context.served();
  };
}

/** Express throws a plain 400 for a path that it cannot decode. */
function isMalformedTarget(thrown: unknown): boolean {
  return thrown instanceof URIError;
}

function localsOf(response: ServerResponse): Locals {
  return (response as Response).locals as unknown as Locals;
}
