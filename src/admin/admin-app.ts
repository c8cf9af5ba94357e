import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { ParsedUrlQuery } from 'node:querystring';
import express, { type ErrorRequestHandler, type Express, type Request, type Response } from 'express';
import { asFerryError, FerryError } from '../lib/errors/ferry-error.ts';
import { StoreError } from '../request-log/request-store.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';
import { AdminAccess, type AdminCaller } from './access/admin-access.ts';
import { ALLOWED_METHODS, only } from './access/allowed-methods.ts';
import { addPlayground } from './actions/playground.ts';
import { probeUpstream } from './actions/probe-upstream.ts';
import { refreshToken } from './actions/refresh-token.ts';
import { callSetup, draftSetup } from './actions/setup.ts';
import type { AdminParts } from './admin-parts.ts';
import type {
  AdminAlertTest,
  AdminConfiguration,
  AdminEmbeddingsCache,
  AdminModels,
  AdminProbe,
  AdminRequests,
  AdminStats,
  AdminTokenRefresh,
  AdminTokens,
  AdminUpstream,
  AdminUpstreams,
  LogLevel,
  LogLevelChange,
  ReloadState,
  SetupCall,
  SetupDraft,
} from './api-types.ts';
import { EventReader } from './live/event-reader.ts';
import { LiveFeed } from './live/live-feed.ts';
import type { TokenHistory } from './live/token-history.ts';
import { createPageRouter } from './page.ts';
import { parseRequestQuery, parseStatsQuery } from './request-query.ts';
import { configurationView } from './views/configuration-view.ts';
import { requestDetail, requestView } from './views/request-view.ts';
import { statsView } from './views/stats-view.ts';
import { embeddingsCacheView, statusView } from './views/status-view.ts';
import { tokenView } from './views/token-view.ts';
import { upstreamStateOf, upstreamViews } from './views/upstream-view.ts';

/** A search that takes longer gives what it found, within a fifth of a second with its last step; the next page goes on. */
const SEARCH_BUDGET_MS = 150;
const MAX_BODY_BYTES = 256 * 1024;

/** The admin API, as a listener for requests whose path is normalised. */
export interface AdminApp {
  readonly app: Express;
  readonly feed: LiveFeed;
}

/** Builds the admin API. `history` outlives it. */
export function createAdminApp(parts: AdminParts, history: TokenHistory): AdminApp {
  const access = new AdminAccess(parts);
  const feed = new LiveFeed({
    clock: parts.clock,
    follow: (sink) => parts.followRecords(sink),
    inFlight: () => parts.inFlight(),
  });
  const app = express();
  app.disable('x-powered-by');
  app.set('etag', false);
  app.set('query parser', 'simple');
  app.set('strict routing', true);

  app.use((request, response, next) => {
    setSecurityHeaders(response);
    access.refuseForeign(request);
    next();
  });
  app.use(createPageRouter((host) => pageOrigin(parts, host)));
  // Before the body is read: the gateway's routes read it themselves.
  addPlayground(app, parts.playground, async (request, response) => {
    const caller = await access.identify(request, response);
    feed.use();
    audit(parts, request, caller, `playground ${request.method} ${request.url}`.slice(0, 200));
    response.removeHeader('x-request-id');
  });
  app.use('/admin', express.json({ limit: MAX_BODY_BYTES, type: 'application/json' }));

  app.post('/admin/session', async (request, response) => {
    const caller = await access.logIn(request, response, bodyOf(request));
    audit(parts, request, caller, 'logged in');
    send(response, access.describe(caller));
  });
  app.use('/admin', async (request, response, next) => {
    (response.locals as Locals).caller = await access.identify(request, response);
    feed.use();
    next();
  });
  app.get('/admin/session', (_request, response) => send(response, access.describe(callerOf(response))));
  app.delete('/admin/session', (request, response) => {
    access.logOut(request, response, callerOf(response));
    response.status(204).end();
  });

  app.get('/admin/status', (_request, response) => send(response, statusView(parts, feed)));
  app.get('/admin/tokens', (_request, response) => {
    const state = parts.state();
    const nowMs = parts.clock.wallMs();
    const tokens = Array.from(state.tokenManagers.values(), (manager) =>
      tokenView(manager, state, history, nowMs),
    );
    send<AdminTokens>(response, { now_ms: nowMs, tokens });
  });
  app.post('/admin/tokens/:name/refresh', async (request, response) => {
    const { name } = request.params;
    const manager = parts.state().tokenManagers.get(name);
    if (manager === undefined) throw unknown('token source', name);
    audit(parts, request, callerOf(response), `refresh token ${name}`);
    send<AdminTokenRefresh>(response, await refreshToken(manager, parts, history));
  });
  app.get('/admin/tokens/:name/history', (request, response) => {
    const { name } = request.params;
    if (!parts.state().tokenManagers.has(name)) throw unknown('token source', name);
    send(response, history.of(name));
  });
  app.get('/admin/upstreams', (_request, response) =>
    send<AdminUpstreams>(response, { now_ms: parts.clock.wallMs(), upstreams: upstreamViews(parts, feed) }),
  );
  for (const action of ['pause', 'resume'] as const) {
    app.post(`/admin/upstreams/:name/${action}`, (request, response) => {
      const upstream = upstreamOf(parts, request.params.name);
      audit(parts, request, callerOf(response), `${action} upstream ${upstream.name}`);
      const nowMs = parts.clock.wallMs();
      if (action === 'pause') upstream.pause(nowMs);
      else upstream.resume();
      feed.send('upstream', { name: upstream.name, state: upstreamStateOf(upstream), at_ms: nowMs });
      send<AdminUpstream>(response, viewOf(upstream.name, parts, feed));
    });
  }
  app.post('/admin/upstreams/:name/probe', async (request, response) => {
    const upstream = upstreamOf(parts, request.params.name);
    audit(parts, request, callerOf(response), `probe upstream ${upstream.name}`);
    const probe = await probeUpstream(upstream, parts.clock);
    send<AdminProbe>(response, { ...probe, upstream: viewOf(upstream.name, parts, feed) });
  });
  app.get('/admin/models', async (_request, response) => {
    const { models, upstreams } = parts.state();
    const listed = await models.listAll();
    send<AdminModels>(response, {
      models: listed.map(({ id }) => ({
        id,
        upstreams: upstreams
          .filter((upstream) => upstream.admits(id, '/v1/chat/completions'))
          .map((upstream) => ({ name: upstream.name, upstream_model: upstream.upstreamModel(id) })),
      })),
    });
  });
  app.get('/admin/requests', async (request, response) => {
    const { filter, page } = parseRequestQuery(request.query as ParsedUrlQuery);
    const bounds = { isBrief: true, budgetMs: SEARCH_BUDGET_MS };
    const found = await parts.requestLog.recent(filter, { ...page, ...bounds });
    send<AdminRequests>(response, {
      requests: found.requests.map(requestView),
      next_cursor: found.next === null ? null : `${found.next.createdAtMs}-${found.next.id}`,
      searched_until_ms: found.searchedUntilMs ?? null,
    });
  });
  app.get('/admin/requests/:id', async (request, response) => {
    const { id } = request.params;
    const { requests } = await parts.requestLog.recent({ id }, { limit: 100 });
    const [newest] = requests;
    if (newest === undefined) throw unknown('request', id);
    send(response, requestDetail(newest, requests.length));
  });
  app.get('/admin/stats', async (request, response) => {
    const query = parseStatsQuery(request.query as ParsedUrlQuery, parts.clock.wallMs());
    send<AdminStats>(response, statsView(query, await parts.requestLog.series(query)));
  });
  app.get('/admin/config', (_request, response) => {
    send<AdminConfiguration>(response, configurationView(parts));
  });
  app.post('/admin/reload', async (request, response) => {
    audit(parts, request, callerOf(response), 'reload');
    const result = (await parts.reload()) ? parts.lastReload() : null;
    if (result === null)
      throw new FerryError('unsupported_endpoint', {
        message: 'This gateway was started without a configuration file that it could load again.',
      });
    send<ReloadState>(response, result);
  });
  app.post('/admin/embeddings-cache/clear', async (request, response) => {
    if (parts.state().config.embeddings_cache.size === 0)
      throw new FerryError('unsupported_endpoint', {
        message: 'There is no embeddings cache: embeddings_cache.size is 0.',
      });
    audit(parts, request, callerOf(response), 'clear the embeddings cache');
    await clearEmbeddingsCache(parts);
    send<AdminEmbeddingsCache>(response, embeddingsCacheView(parts));
  });
  app.post('/admin/log-level', (request, response) => {
    const { level } = bodyOf(request);
    if (!isLogLevel(level))
      throw new FerryError('invalid_request', {
        message: `Invalid level: must be one of ${LOG_LEVELS.join(', ')}.`,
        param: 'level',
      });
    audit(parts, request, callerOf(response), `log level ${level}`);
    parts.setLogLevel(level);
    send<LogLevelChange>(response, { level });
  });
  app.post('/admin/alerts/:name/test', async (request, response) => {
    const { name } = request.params;
    audit(parts, request, callerOf(response), `test alert ${name.slice(0, 200)}`);
    const result = await parts.testAlert(name);
    if (result === null) throw unknown('alert', name);
    send<AdminAlertTest>(response, result);
  });
  app.post('/admin/setup/call', async (request, response) => {
    audit(parts, request, callerOf(response), 'set-up: call a token endpoint');
    send<SetupCall>(response, await callSetup(bodyOf(request)));
  });
  app.post('/admin/setup/draft', async (request, response) => {
    audit(parts, request, callerOf(response), 'set-up: try a configuration');
    send<SetupDraft>(response, await draftSetup(bodyOf(request), parts));
  });
  app.get('/admin/events', (_request, response) => {
    if (!feed.add(new EventReader(response, parts.clock))) response.destroy();
  });

  for (const [methods, paths] of ALLOWED_METHODS) app.all([...paths], only(methods));
  app.use((request) => {
    throw new FerryError('unknown_path', {
      message: `Unknown path of the admin API: ${request.method} ${request.path}.`,
    });
  });
  app.use(errorHandler(parts));
  return { app, feed };
}

/** Where a page on an address of its own (`admin.address`) finds the API: on the same host. Null: on its own address. */
function pageOrigin(parts: AdminParts, host: string): string | null {
  const api = new URL(parts.baseUrl());
  const [, name, port = ''] = /^([\w.-]+|\[[\da-f:]+\])(?::(\d+))?$/i.exec(host) ?? [];
  return name === undefined || port === api.port ? null : `${api.protocol}//${name}:${api.port}`;
}

interface Locals {
  caller?: AdminCaller;
}

const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

function isLogLevel(value: unknown): value is LogLevel {
  return LOG_LEVELS.some((level) => level === value);
}

function upstreamOf(parts: AdminParts, name: string): RoutedUpstream {
  const upstream = parts.state().upstreams.find((one) => one.name === name);
  if (upstream === undefined) throw unknown('upstream that serves', name);
  return upstream;
}

function viewOf(name: string, parts: AdminParts, feed: LiveFeed): AdminUpstream {
  const view = upstreamViews(parts, feed).find((one) => one.name === name);
  if (view === undefined) throw unknown('upstream', name);
  return view;
}

function callerOf(response: Response): AdminCaller {
  const { caller } = response.locals as Locals;
  if (caller === undefined) throw new Error('the caller was not identified');
  return caller;
}

function bodyOf(request: Request): Readonly<Record<string, unknown>> {
  const body: unknown = request.body;
  if (typeof body === 'object' && body !== null && !Array.isArray(body))
    return body as Readonly<Record<string, unknown>>;
  throw new FerryError('invalid_request', {
    message: 'The body must be a JSON object, sent as application/json.',
  });
}

/** What a browser must not do with any response of ours. */
function setSecurityHeaders(response: ServerResponse): void {
  response.setHeader('x-request-id', randomUUID());
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('x-frame-options', 'DENY');
  response.setHeader('referrer-policy', 'no-referrer');
  response.setHeader('cross-origin-resource-policy', 'same-origin');
  response.setHeader('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
}

function send<Body extends object>(response: Response, body: Body): void {
  response.type('application/json').send(JSON.stringify(body));
}

function unknown(what: string, name: string): FerryError {
  return new FerryError('unknown_path', { message: `There is no ${what} "${name.slice(0, 200)}".` });
}

async function clearEmbeddingsCache({ embeddingsCache }: AdminParts): Promise<void> {
  try {
    await embeddingsCache.clear();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FerryError('overloaded', { message: `The embeddings cache was not cleared: ${reason}.` });
  }
}

function audit(parts: AdminParts, request: IncomingMessage, caller: AdminCaller, action: string): void {
  parts.audit(`admin: ${action}`, { action, access: caller.access, ip: parts.clientIp(request) });
}

function errorHandler(parts: AdminParts): ErrorRequestHandler {
  return (thrown, _request, response, _next) => {
    const error = errorOf(thrown);
    if (error.kind === 'internal') parts.onInternalError(thrown);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    if (error.waitMs !== undefined) response.setHeader('retry-after', Math.ceil(error.waitMs / 1000));
    response.status(error.status);
    send(response, error.toBody());
  };
}

/** Express and its body parser throw errors with a status, the request log `StoreError`. */
function errorOf(thrown: unknown): FerryError {
  if (thrown instanceof StoreError)
    return new FerryError('overloaded', { message: `The request log cannot be searched: ${thrown.message}` });
  const status = (thrown as { readonly status?: unknown } | null)?.status;
  if (thrown instanceof FerryError || typeof status !== 'number' || status >= 500)
    return asFerryError(thrown);
  const kind = status === 413 ? 'body_too_large' : 'invalid_request';
  return new FerryError(kind, {
    message:
      status === 413 ? `The body is larger than ${MAX_BODY_BYTES} bytes.` : 'The request is not valid.',
    cause: thrown,
  });
}
