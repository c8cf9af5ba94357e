import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import express, { type ErrorRequestHandler, type Express, type Response } from 'express';
import { ENDPOINTS, POSTED_BASE_URL } from '../endpoints.ts';
import { asFerryError, FerryError } from '../lib/errors/ferry-error.ts';
import type { ModelList } from '../routing/model-list.ts';
import type { ClientIdentity } from '../routing/routed-request.ts';
import type { BodyReader } from './body/body-reader.ts';
import { type ClientAuth, refuseForbiddenPath } from './middleware/client-auth.ts';
import type { ClientQuotas } from './middleware/client-quota.ts';
import { refuseForeignHosts, sendPreflight } from './middleware/cross-origin.ts';
import { RequestForm, refuseUpgrade } from './middleware/http-conformance.ts';
import { type RecordingSettings, RequestContext } from './middleware/request-context.ts';
import { barePath, type RequestPath, type RequestPaths } from './middleware/request-path.ts';
import type { RunningRequests, UseCount } from './middleware/running-requests.ts';
import { sendError, unknownPath } from './response/errors.ts';
import { type ChatRouteSettings, serveChat } from './routes/chat.ts';
import { type EmbeddingsRouteSettings, serveEmbeddings } from './routes/embeddings.ts';
import { type Readiness, sendLive, sendReady } from './routes/health.ts';
import { countMessageTokens, serveMessages } from './routes/messages.ts';
import { askForModel, listModels, showListedModel } from './routes/models.ts';
import { type PassThroughSettings, passThrough } from './routes/pass-through.ts';
import { serveRerank } from './routes/rerank.ts';
import { ResponseItemStore } from './routes/response-item-store.ts';
import { serveResponses } from './routes/responses.ts';

/** Everything that one configuration gives the routes; replaced as a whole on reload. */
export interface RuntimeRoutes {
  /** Counts the routes that use it. */
  readonly use: UseCount;
  readonly paths: RequestPaths;
  readonly auth: ClientAuth;
  readonly quotas: ClientQuotas;
  readonly bodies: BodyReader;
  readonly models: ModelList;
  readonly chat: ChatRouteSettings;
  readonly embeddings: EmbeddingsRouteSettings;
  readonly passThrough: PassThroughSettings;
  readonly recording: RecordingSettings;
  readonly metricsNeedKey: boolean;
  /** True: no keys are configured, so only this machine is served. */
  readonly isLoopbackOnly: boolean;
  /** Maximum of requests at once; more get 503. */
  readonly maxRequests: number;
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
  /** Serves `/admin` and `/ui`; null: they are served at an address of their own. */
  readonly admin: RequestListener | null;
  /** An internal error that a client got as 500. */
  onInternalError(error: FerryError): void;
}

interface Locals {
  readonly runtime: RuntimeRoutes;
  readonly context: RequestContext;
  readonly isApi: boolean;
}

/** `url` is rewritten on the way to a route. */
type Routed = IncomingMessage & { originalUrl?: string };

type ServedRoute = Exclude<(typeof ENDPOINTS)[number]['route'], 'admin'>;

type ClientRoute = (context: RequestContext, client: ClientIdentity, runtime: RuntimeRoutes) => Promise<void>;
type Handler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;

/**
 * Every request's way: `accept`, then the route of its endpoint, then pass-through for any other path of the API. Express
 * decides between methods, patterns and paths; what is posted to the path of an endpoint needs no decision and goes
 * straight to its route (4 % of a chat's CPU: Express changes the prototypes of both objects and walks its layers).
 */
export function createApp(parts: AppParts): RequestListener {
  const routes = routesOf(parts);
  const router = createRouter(parts, routes);
  const posted: ReadonlyMap<string, Handler> = new Map(
    ENDPOINTS.flatMap(({ path, route, methods }) =>
      route !== 'admin' && methods?.includes('POST') === true && !path.endsWith('*')
        ? [[path, routes[route]]]
        : [],
    ),
  );
  const accepts = accept(parts);
  return async (request, response) => {
    try {
      if (!accepts(request, response)) return;
      const route = request.method === 'POST' ? posted.get(request.url as string) : undefined;
      if (route === undefined) router(request, response);
      else await route(request, response);
    } catch (error) {
      sendFailure(parts, response, error);
    }
  };
}

/** The routes of all endpoints, for requests that were accepted. */
export function createRouter(parts: AppParts, routes = routesOf(parts)): Express {
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', false);
  app.set('strict routing', true);
  for (const { path, route, methods, isPassedOtherwise } of ENDPOINTS) {
    if (methods === null || route === 'admin') continue;
    const [method = 'GET'] = methods;
    const added = app.route(path.endsWith('/**') ? new RegExp(`^${path.slice(0, -2)}.`) : path);
    // Express serves HEAD with GET.
    if (method === 'GET') added.get(routes[route]);
    else added.post(routes[route]);
    if (!isPassedOtherwise) added.all(only(method));
  }
  app.all(/^\/v1\/./, routes.pass_through);
  app.use((_request, response) => {
    throw unknownPath(localsOf(response).context);
  });
  app.use(errorHandler(parts));
  return app;
}

/**
 * What comes before any route, in this order; each step may refuse the request by throwing. False: it has been served.
 */
function accept(parts: AppParts): (request: IncomingMessage, response: ServerResponse) => boolean {
  const form = new RequestForm();
  return (request, response) => {
    const runtime = parts.runtime();
    // As Express does: errors name what the client typed.
    (request as Routed).originalUrl ??= request.url ?? '';
    // 1. Valid HTTP, and a path that means one thing only.
    let target: RequestPath | null = null;
    let refusal: FerryError | null = null;
    try {
      form.check(request);
      target = runtime.paths.parse(request.url ?? '');
      if (request.method === 'POST' && target.path === '/v1') target = { ...target, path: POSTED_BASE_URL };
      refuseUpgrade(request);
    } catch (error) {
      refusal = asFerryError(error);
      target ??= { path: barePath(request.url ?? ''), query: '', isApi: false, model: null };
      response.shouldKeepAlive = false;
      form.refused(request);
    }
    // Looking at the gateway is no request of an application, and is not recorded.
    if (refusal === null && !target.isApi && parts.admin !== null && ADMIN_PATH.test(target.path)) {
      request.url = targetOf(target);
      parts.admin(request, response);
      return false;
    }
    // 2. The context: from here on the request is recorded.
    const { path, query, isApi, model } = target;
    const context = new RequestContext(
      { request, response, path, query, model, ip: runtime.clientIp(request) },
      runtime.recording,
    );
    (response as Response).locals = {
      runtime,
      context,
      isApi,
    } satisfies Locals as unknown as Response['locals'];
    track(context, parts);
    if (refusal !== null) throw refusal;
    // 3. Overload, draining and CORS; probes and metrics are served under any load.
    const isOpen = OPEN_PATHS.has(path);
    if (!isOpen) {
      parts.requests.refuseWhenFull(runtime.maxRequests);
      if (context.method === 'OPTIONS' && path.startsWith('/v1')) {
        sendPreflight(context);
        return false;
      }
    }
    // 4. Without client keys: this machine only.
    if (runtime.isLoopbackOnly && path !== '/livez') refuseForeignHosts(context.headers);
    // 5. The route of the normalised path.
    request.url = path;
    return true;
  };
}

const ADMIN_PATH = /^\/(?:admin|ui)(?:\/|$)/;

function targetOf({ path, query }: RequestPath): string {
  return query === '' ? path : `${path}?${query}`;
}

/** Serves `/admin` and `/ui` alone, for an address of their own. */
export function createAdminListener(paths: () => RequestPaths, admin: RequestListener): RequestListener {
  const form = new RequestForm();
  return (request, response) => {
    try {
      form.check(request);
      const target = paths().parse(request.url ?? '/');
      const { originalUrl = request.url } = request as Routed;
      Object.assign(request, { originalUrl, url: targetOf(target) });
      admin(request, response);
    } catch (thrown) {
      const error = asFerryError(thrown);
      response.writeHead(error.status, {
        'content-type': 'application/json; charset=utf-8',
        connection: 'close',
      });
      response.end(JSON.stringify(error.toBody()));
      form.refused(request);
    }
  };
}

const OPEN_PATHS: ReadonlySet<string> = new Set(
  ENDPOINTS.filter(({ isOpen }) => isOpen).map(({ path }) => path),
);

function track(context: RequestContext, { requests, onInflight }: AppParts): void {
  requests.add(context);
  onInflight(1);
  context.response.on('close', () => {
    context.closed();
    requests.delete(context);
    onInflight(-1);
  });
}

function routesOf(parts: AppParts): Readonly<Record<ServedRoute, Handler>> {
  const items = new ResponseItemStore();
  return {
    chat: forClients((context, client, { chat }) => serveChat(context, client, 'chat', chat)),
    completions: forClients((context, client, { chat }) => serveChat(context, client, 'completions', chat)),
    embeddings: forClients((context, client, { embeddings }) => serveEmbeddings(context, client, embeddings)),
    rerank: forClients((context, client, { embeddings }) => serveRerank(context, client, embeddings)),
    responses: forClients((context, client, { chat, passThrough: passed }) =>
      serveResponses(context, client, chat, passed, items),
    ),
    messages: forClients((context, client, { chat, passThrough: passed }) =>
      serveMessages(context, client, chat, passed),
    ),
    count_tokens: forClients((context, client, { chat, passThrough: passed }) =>
      countMessageTokens(context, client, chat, passed),
    ),
    models: forClients(async (context, client, { models, quotas, chat }) => {
      if (context.path === '/v1/models') return listModels(context, client, models);
      if (await showListedModel(context, client, models)) return;
      const ask = (): Promise<void> => askForModel(context, client, chat);
      const quota = quotas.of(client);
      await (quota === null ? ask() : quota.run(context, ask));
    }, 'free'),
    pass_through: forClients((context, client, { passThrough: passed }) =>
      passThrough(context, client, passed),
    ),
    live: (_request, response) => sendLive(localsOf(response).context),
    ready: (_request, response) => sendReady(localsOf(response).context, parts.readiness()),
    metrics: (_request, response) => sendMetrics(parts, response),
  };
}

/** A route behind the client's key, its paths and its quota. `free`: no upstream is called, so no limit counts. */
function forClients(route: ClientRoute, cost: 'counted' | 'free' = 'counted'): Handler {
  return async (_request, response) => {
    const { context, runtime, isApi } = localsOf(response);
    if (!isApi) throw unknownPath(context);
    const { auth } = runtime;
    const client = auth.hasKeysOnly
      ? auth.identify(context.headers)
      : await auth.authenticate(context.request);
    context.outcome.client = client;
    refuseForbiddenPath(context, client);
    const { quotas } = runtime;
    const quota = cost === 'free' || quotas.isEmpty ? null : quotas.of(client);
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

function only(method: string): Handler {
  return (request, response) => {
    response.setHeader('allow', `${method}, OPTIONS`);
    throw new FerryError('method_not_allowed', {
      message: `Method not allowed: ${request.method} ${localsOf(response).context.typedPath}. Use ${method}.`,
    });
  };
}

async function sendMetrics(parts: AppParts, response: ServerResponse): Promise<void> {
  const { context, runtime } = localsOf(response);
  if (runtime.metricsNeedKey) await runtime.auth.authenticate(context.request);
  const { text, contentType } = await parts.metrics();
  response.writeHead(200, {
    'content-type': contentType,
    'content-length': Buffer.byteLength(text),
    'x-request-id': context.id,
  });
  response.end(text);
}

function errorHandler(parts: AppParts): ErrorRequestHandler {
  return (thrown, _request, response, _next) => sendFailure(parts, response, thrown);
}

function sendFailure(parts: AppParts, response: ServerResponse, thrown: unknown): void {
  const { context } = localsOf(response);
  // Express throws a URIError for a path that it cannot decode.
  const error =
    thrown instanceof URIError
      ? new FerryError('invalid_request', { message: 'Invalid percent-encoding in the request path.' })
      : asFerryError(thrown);
  if (error.kind === 'internal') parts.onInternalError(error);
  sendError(context, error);
  context.served();
}

function localsOf(response: ServerResponse): Locals {
  return (response as Response).locals as unknown as Locals;
}
