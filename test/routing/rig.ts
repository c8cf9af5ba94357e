import type { Clock } from '../../src/lib/clock.ts';
import type { ClientIdentity, RoutedRequest } from '../../src/routing/routed-request.ts';
import { AttemptLog } from '../../src/routing/routed-request.ts';
import { Circuit } from '../../src/routing/upstream-state/circuit.ts';
import { LearnedDrops } from '../../src/routing/upstream-state/learned-refusals.ts';
import { MissingEndpoints } from '../../src/routing/upstream-state/missing-endpoints.ts';
import { ModelPauses } from '../../src/routing/upstream-state/model-pauses.ts';
import { Pacers, type PaceSettings } from '../../src/routing/upstream-state/pacers.ts';
import {
  RoutedUpstream,
  type RoutedUpstreamSettings,
} from '../../src/routing/upstream-state/routed-upstream.ts';
import { UpstreamClient, type UpstreamCredentials } from '../../src/upstream/client.ts';
import { DEFAULT_PROFILE } from '../helpers/default-profile.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';

/** An upstream as routing sees it, on a clock of the test's own. Nothing listens at its endpoint. */
export function newUpstream(
  name: string,
  {
    clock = new VirtualClock(),
    pace = null,
    credentials = { kind: 'none' },
    ...settings
  }: Partial<RoutedUpstreamSettings> & {
    clock?: Clock;
    credentials?: UpstreamCredentials;
    pace?: PaceSettings | null;
  } = {},
): RoutedUpstream {
  const endpoint = new URL('http://127.0.0.1:9/v1');
  const client = new UpstreamClient({
    name,
    connection: { origin: endpoint.origin, connectTimeoutMs: 1_000, maxHeaderBytes: 16_384 },
    paths: { endpoint, query: {}, paths: {} },
    headers: { headers: {}, forwardHeaders: [], isKeepingHeaders: false },
    credentials,
  });
  const circuit = new Circuit({ failures: 3, firstPauseMs: 5_000, maxPauseMs: 60_000 }, clock);
  return new RoutedUpstream(
    {
      name,
      allow: [],
      deny: [],
      aliases: {},
      keyDigests: null,
      clients: null,
      isOpenToAll: false,
      limits: {
        timeoutMs: 0,
        streamTimeoutMs: 0,
        firstContentTimeoutMs: 0,
        embeddingsTimeoutMs: 0,
        idleTimeoutMs: 0,
        streamTotalTimeoutMs: 0,
      },
      profile: DEFAULT_PROFILE,
      maxConcurrency: 0,
      recipe: name,
      ...settings,
    },
    {
      client,
      circuit,
      pauses: new ModelPauses(clock),
      pacers: pace === null ? null : new Pacers(pace, clock, () => 0.5),
      learnedDrops: new LearnedDrops(),
      missingEndpoints: new MissingEndpoints(),
    },
  );
}

export const ANYBODY: ClientIdentity = {
  name: 'anybody',
  user: null,
  keyDigest: 'digest-of-anybody',
  isGlobal: true,
  mayUseModel: null,
  mayUsePath: null,
};

export function newRequest(facts: Partial<RoutedRequest> = {}): RoutedRequest {
  return {
    path: '/v1/chat/completions',
    query: '',
    model: 'm',
    client: ANYBODY,
    headers: {},
    signal: new AbortController().signal,
    startedMonoMs: 0,
    log: new AttemptLog(),
    ...facts,
  };
}
