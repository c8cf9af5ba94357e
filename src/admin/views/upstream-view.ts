import { counted } from '../../lib/text/format.ts';
import type { RoutedUpstream } from '../../routing/upstream-state/routed-upstream.ts';
import type { AdminParts, GatewayState } from '../admin-parts.ts';
import type { AdminUpstream, AdminUpstreamState } from '../api-types.ts';
import type { LiveFeed } from '../live/live-feed.ts';
import { meaningOf } from './request-view.ts';

const RECENT_SECONDS = 300;

/** Every upstream of the configuration, in its order, those that cannot serve included. */
export function upstreamViews(parts: AdminParts, feed: LiveFeed): AdminUpstream[] {
  const state = parts.state();
  const repairs = Map.groupBy(parts.repairs(), ({ upstream }) => upstream);
  const serving = new Map(state.upstreams.map((upstream) => [upstream.name, upstream]));
  const defects = new Map(state.skipped.map(({ name, defect }) => [name, defect]));
  return state.config.upstreams.map(({ name }) => ({
    ...factsOf(name, state),
    ...liveStateOf(serving.get(name) ?? null, defects.get(name) ?? null),
    recent: feed.recentAt(name, RECENT_SECONDS),
    repairs: (repairs.get(name) ?? [])
      .map(({ repair, responses }) => ({ repair, meaning: meaningOf(repair), responses }))
      .sort((left, right) => right.responses - left.responses),
  }));
}

/** The name of the state; the first one that applies. */
export function upstreamStateOf({ isPaused, circuit }: RoutedUpstream): AdminUpstreamState {
  if (isPaused) return 'paused';
  return circuit.state === 'closed' ? 'up' : circuit.state;
}

type Facts = Pick<AdminUpstream, 'name' | 'endpoint' | 'credentials' | 'token' | 'max_concurrency'>;

function factsOf(name: string, { config }: GatewayState): Facts {
  const upstream = config.upstreams.find((one) => one.name === name);
  const credentials = upstream === undefined ? 'none' : credentialsOf(upstream);
  return {
    name,
    endpoint: upstream?.endpoint == null ? null : bareUrl(upstream.endpoint),
    credentials,
    token: credentials === 'token' ? (upstream?.token ?? null) : null,
    max_concurrency: upstream?.max_concurrency ?? 0,
  };
}

function credentialsOf({
  sk,
  token,
}: GatewayState['config']['upstreams'][number]): AdminUpstream['credentials'] {
  if (sk !== null) return sk === 'asis' ? 'as_is' : 'key';
  return token === null || token === 'none' ? 'none' : 'token';
}

/** Without user, password and query. */
function bareUrl(endpoint: string): string {
  const url = URL.parse(endpoint);
  return url === null ? '' : `${url.origin}${url.pathname}`.replace(/\/$/, '');
}

type LiveState = Omit<AdminUpstream, keyof Facts | 'recent' | 'repairs'>;

function liveStateOf(upstream: RoutedUpstream | null, defect: string | null): LiveState {
  if (upstream === null) {
    return {
      state: 'skipped',
      description: `cannot serve: ${defect ?? 'it is not in use'}`,
      defect,
      models: [],
      is_open_ended: false,
      failures_in_row: 0,
      cooling_ms: 0,
      paused_at_ms: null,
      in_flight: 0,
      waiting: 0,
      rates: [],
      paused_models: [],
      last_error: null,
    };
  }
  const { circuit, limiter, pacers, pauses, lastError } = upstream;
  return {
    state: upstreamStateOf(upstream),
    description: describe(upstream),
    defect: null,
    models: upstream.namedModels,
    is_open_ended: upstream.isOpenEnded,
    failures_in_row: circuit.failuresInRow,
    cooling_ms: Math.round(circuit.remainingMs),
    paused_at_ms: upstream.pausedAtMs,
    in_flight: limiter.running,
    waiting: limiter.waiting + (pacers?.waiting ?? 0),
    rates: (pacers?.rates() ?? []).map(({ model, perSecond }) => ({ model, per_second: perSecond })),
    paused_models: pauses.list().map(({ model, reason, remainingMs, message }) => ({
      model,
      reason,
      remaining_ms: Math.round(remainingMs),
      message,
    })),
    last_error:
      lastError === null
        ? null
        : {
            at_ms: Math.round(lastError.atMs),
            kind: lastError.kind,
            status: lastError.status,
            message: lastError.message,
          },
  };
}

function describe(upstream: RoutedUpstream): string {
  const { circuit } = upstream;
  switch (upstreamStateOf(upstream)) {
    case 'paused':
      return 'paused by an administrator: it gets no requests until it is resumed';
    case 'cooling':
      return circuit.remainingMs === 0
        ? `failed ${counted(circuit.failuresInRow, 'time')} in a row: the next request tries it again`
        : `failed ${counted(circuit.failuresInRow, 'time')} in a row: left alone for ${Math.ceil(circuit.remainingMs / 1_000)} s more`;
    case 'probing':
      return 'one request tries whether it is back';
    default:
      return circuit.failuresInRow === 0
        ? 'serving'
        : `serving; the last ${counted(circuit.failuresInRow, 'attempt')} failed`;
  }
}
