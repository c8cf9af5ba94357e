import type { IncomingMessage, RequestListener } from 'node:http';
import type { Config } from '../config/config.ts';
import type { EmbeddingsCache } from '../embeddings-cache/embeddings-cache.ts';
import type { Clock } from '../lib/clock.ts';
import type { RequestRecord } from '../lib/request-record.ts';
import type { Secret } from '../lib/secret.ts';
import type { Repair } from '../openai/vendors/repairs.ts';
import type { RequestLog } from '../request-log/request-log.ts';
import type { ModelList } from '../routing/model-list.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';
import type { TokenManager } from '../tokens/manager/token-manager.ts';
import type { AdminAlertTest, AdminStatus, Degradation, LogLevel, ReloadState } from './api-types.ts';

/** The configuration in use and what was built from it; another one after a reload. */
export interface GatewayState {
  readonly config: Config;
  readonly tokenManagers: ReadonlyMap<string, TokenManager>;
  readonly upstreams: readonly RoutedUpstream[];
  /** Upstreams that cannot serve, and why. */
  readonly skipped: readonly { readonly name: string; readonly defect: string }[];
  readonly models: ModelList;
}

/** As `tokenferry check --chat` does it. */
export type TryConfiguration = (
  configuration: object,
  variables: ReadonlyMap<string, string>,
  model: string | null,
) => Promise<readonly { readonly verdict: 'ok' | 'warn' | 'fail'; readonly text: string }[]>;

/** What the admin API is given by the gateway. */
export interface AdminParts {
  readonly clock: Clock;
  readonly version: string;
  /** The configuration file; null: there is none. */
  readonly configPath: string | null;
  /** Null: only this machine is served, without a key. */
  readonly key: Secret | null;
  readonly requestLog: RequestLog;
  readonly embeddingsCache: EmbeddingsCache;
  state(): GatewayState;
  phase(): AdminStatus['phase'];
  /** The base URL for applications on this machine, ending in `/v1`. */
  baseUrl(): string;
  /** True: applications need a client key. */
  needsClientKey(): boolean;
  loadedAtMs(): number;
  inFlight(): number;
  degraded(): readonly Degradation[];
  repairs(): Iterable<{ readonly upstream: string; readonly repair: Repair; readonly responses: number }>;
  lastReload(): ReloadState | null;
  /** Loads the configuration again; false: this gateway cannot. `lastReload` has the result. */
  reload(): Promise<boolean>;
  logLevel(): LogLevel;
  setLogLevel(level: LogLevel): void;
  /** Sends a test message through the alert of that name; null: there is none. */
  testAlert(name: string): Promise<AdminAlertTest | null>;
  /** Checks a configuration with its issuers and upstreams, and sends one chat. `variables`: those that it names. */
  tryConfiguration: TryConfiguration;
  /** Serves a request for `/v1/...` as the client `playground`, without a key. */
  readonly playground: RequestListener;
  /** `text` with every secret in use replaced. */
  scrub(text: string): string;
  /** Logs an action of an administrator. */
  audit(message: string, facts: Readonly<Record<string, unknown>>): void;
  /** An internal error that the caller got as 500. */
  onInternalError(error: unknown): void;
  clientIp(request: IncomingMessage): string;
  /** `sink` gets the records of finished requests in batches until the returned function is called. */
  followRecords(sink: { acceptRecords(records: readonly RequestRecord[]): void }): () => void;
}
