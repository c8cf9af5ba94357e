/**
 * The JSON of the admin API, for the page and for the routes. Plain types without imports. Times are milliseconds since
 * 1970 (`_at_ms`), durations milliseconds (`_ms`); null: unknown or not applicable. No field has a secret.
 */

/** `GET` and `POST /admin/session`. */
export interface AdminSession {
  /** How this caller was let in: the admin key as Bearer, a session cookie, or this machine while no key is configured. */
  readonly access: 'key' | 'session' | 'loopback';
  /** The value of `x-csrf-token` for every POST and DELETE; null: none is needed. */
  readonly csrf_token: string | null;
  /** When the session ends unless it is used; null: no session. */
  readonly expires_at_ms: number | null;
}

/** The body of `POST /admin/session`: the admin key. */
export interface AdminLogin {
  readonly key: string;
}

/** The facts of a message by name, for translations. Lists are joined with `, `; durations are milliseconds (`_ms`). */
export type MessageFacts = Readonly<Record<string, string | number>>;

/** What does not work: the facts that each has are those of its sentence. */
export type DegradationCode =
  | 'token_not_obtained'
  | 'token_missing'
  | 'token_rejected'
  | 'token_renewal_fails'
  | 'token_rejected_early'
  | 'token_new_rejected'
  | 'upstream_paused'
  | 'upstream_cooling'
  | 'upstream_without_endpoint'
  | 'upstream_without_credentials'
  | 'configuration_invalid'
  | 'request_log_unavailable'
  | 'embeddings_cache_unusable';

/** What to do about it. */
export type AdviceCode =
  | 'correct_credentials'
  | 'check_scope'
  | 'check_issuer'
  | 'resume'
  | 'probe'
  | 'complete_configuration'
  | 'correct_configuration'
  | 'restore_database'
  | 'repair_cache_file';

/** Something that does not work right now. */
export interface Degradation {
  readonly part: 'token' | 'upstream' | 'configuration' | 'request_log' | 'embeddings_cache';
  /** Of the token source or upstream; null for the other parts. */
  readonly name: string | null;
  /** What `message` says, for translations. */
  readonly code: DegradationCode;
  readonly facts: MessageFacts;
  /** What does not work and why, in words. */
  readonly message: string;
  /** What `advice` says, for translations. */
  readonly advice_code: AdviceCode;
  /** What to do about it. */
  readonly advice: string;
}

/** Sums over requests. */
export interface RequestTotals {
  readonly requests: number;
  /** Of them those whose outcome is not `ok`. */
  readonly errors: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  /** Mean time to the first content, of requests that had any; null: there were none. */
  readonly first_token_ms: number | null;
  /** Mean duration; null: there were no requests. */
  readonly elapsed_ms: number | null;
}

/** Sums over the requests of the last minutes, or of the time since the admin API was first used when that is shorter. */
export interface RecentRequests extends RequestTotals {
  readonly window_ms: number;
  /** Median and 95th percentile, exact to 5 %; null: there were none. */
  readonly first_token_p50_ms: number | null;
  readonly first_token_p95_ms: number | null;
  readonly elapsed_p50_ms: number | null;
  readonly elapsed_p95_ms: number | null;
}

/** `GET /admin/status`. */
export interface AdminStatus {
  readonly version: string;
  readonly node_version: string;
  readonly hostname: string;
  readonly now_ms: number;
  readonly started_at_ms: number;
  readonly phase: 'starting' | 'serving' | 'draining';
  /** Empty when all is well. */
  readonly degraded: readonly Degradation[];
  /** The base URL for applications on this machine, ending in `/v1`. */
  readonly base_url: string;
  /** The path below which everything is served as well; empty: none. */
  readonly base_path: string;
  /** True: applications need a client key. */
  readonly needs_client_key: boolean;
  readonly configuration: ConfigurationState;
  readonly log_level: LogLevel;
  readonly counts: {
    readonly tokens: number;
    readonly upstreams: number;
    readonly clients: number;
    /** Requests that are being served. */
    readonly in_flight: number;
    /** Requests that wait for a slot or their turn at an upstream. */
    readonly waiting: number;
  };
  /** The last minute. */
  readonly recent: RecentRequests;
  readonly request_log: {
    /** `none`: nothing is recorded, so that requests and stats are empty. */
    readonly type: 'sqlite' | 'postgres' | 'none';
    /** Which request and response bodies are kept. */
    readonly content: 'none' | 'errors' | 'all';
    readonly retention_ms: number;
    readonly written: number;
    readonly dropped: number;
    readonly waiting: number;
    readonly problem: string | null;
  };
  /** Null: off. */
  readonly embeddings_cache: AdminEmbeddingsCache | null;
  /** Names or types of configured alerts, for `POST /admin/alerts/{name}/test`. */
  readonly alerts: readonly string[];
}

/** In `GET /admin/status`, and what `POST /admin/embeddings-cache/clear` returns. */
export interface AdminEmbeddingsCache {
  /** The SQLite file; null: in memory. */
  readonly path: string | null;
  readonly max_bytes: number;
  readonly bytes: number;
  /** Inputs whose vectors are kept. */
  readonly entries: number;
  /** Inputs since the start that were found, and those that upstreams were asked for. */
  readonly hits: number;
  readonly misses: number;
  /** Vectors dropped since the start for the sake of newer ones. */
  readonly evictions: number;
  /** Why the file cannot be used; null: it can. */
  readonly problem: string | null;
}

/** What is known of the configuration in use. */
export interface ConfigurationState {
  /** The file; null: there is none. */
  readonly path: string | null;
  readonly loaded_at_ms: number;
  readonly last_reload: ReloadState | null;
}

/** The result of one reload. */
export interface ReloadState {
  readonly at_ms: number;
  readonly is_ok: boolean;
  /** In words: what changed, or why the previous configuration stays in use. */
  readonly message: string;
  /** Changed keys, such as `timeout` or `upstreams.chat`; empty when nothing changed, and after a failure. */
  readonly changed: readonly string[];
  /** Changed keys that take effect after a restart only. */
  readonly needs_restart: readonly string[];
}

/** `log.level`. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** See `TokenStateName` in `src/tokens`. */
export type AdminTokenState =
  | 'empty'
  | 'acquiring'
  | 'fresh'
  | 'renewing'
  | 'degraded'
  | 'starved'
  | 'rejected'
  | 'misconfigured'
  | 'dormant'
  | 'stopped';

/** One item of `GET /admin/tokens`. */
export interface AdminToken {
  readonly name: string;
  /** `oauth2`, `http`, `exec`, `file`, ... */
  readonly kind: string;
  readonly state: AdminTokenState;
  /** The state in words. */
  readonly description: string;
  /** True: a request would get a token at once. */
  readonly is_usable: boolean;
  /** Of the token in use; `life_ms` and `remaining_ms` are null before the first one, and for one that never expires. */
  readonly life_ms: number | null;
  readonly remaining_ms: number | null;
  readonly obtained_at_ms: number | null;
  readonly expires_at_ms: number | null;
  /** When the issuer will be called next; null: during a call, without demand, or never. */
  readonly next_renewal_in_ms: number | null;
  /** How many different tokens there were. */
  readonly generation: number;
  /** Eight hex characters that distinguish tokens, not a part of the token. */
  readonly fingerprint: string | null;
  /** Upstreams that use this source, and token sources that are chained to it. */
  readonly used_by: readonly string[];
  readonly consecutive_failures: number;
  readonly last_error: string | null;
  readonly last_error_at_ms: number | null;
  readonly waiting_requests: number;
  /** True: upstreams reject new tokens too, so that nothing is replayed for a while. */
  readonly is_breaker_open: boolean;
  /** Working tokens that were rejected early, while that looks as if another client uses the credentials. */
  readonly suspicious_rejections: number;
  /** How long the issuer took, over the renewals of the history; null: none succeeded. */
  readonly issuer_latency: {
    readonly last_ms: number;
    readonly mean_ms: number;
    readonly max_ms: number;
  } | null;
  readonly counters: {
    readonly acquired: number;
    readonly failed: number;
    readonly rejected: number;
    readonly same_token: number;
    readonly served_fresh: number;
    readonly served_renewing: number;
    readonly served_degraded: number;
  };
  /** The newest ten, newest first. */
  readonly last_events: readonly AdminTokenEvent[];
}

/** `GET /admin/tokens`. */
export interface AdminTokens {
  readonly now_ms: number;
  readonly tokens: readonly AdminToken[];
}

/** Something that happened to a token source. */
export interface AdminTokenEvent {
  readonly at_ms: number;
  readonly token: string;
  /** `acquired`: a renewal · `failed`: a renewal that failed · `rejected`: by an upstream · the others as in the log. */
  readonly kind:
    | 'acquired'
    | 'failed'
    | 'rejected'
    | 'starving'
    | 'recovered'
    | 'breaker_open'
    | 'dormant'
    | 'note';
  /** Why a renewal was made: `first`, `scheduled`, `rejected`, `manual`, ...; null for what is no renewal. */
  readonly reason: string | null;
  /** How long the issuer took. */
  readonly duration_ms: number | null;
  /** The lifetime of the new token. */
  readonly life_ms: number | null;
  /** What else `message` says, for translations: `error`, `failures`, `status`, `remaining_ms`, `next_in_ms`, ... */
  readonly facts: MessageFacts;
  /** In words. */
  readonly message: string;
}

/** `GET /admin/tokens/{name}/history`: up to a day, oldest first. */
export interface AdminTokenHistory {
  readonly token: string;
  readonly now_ms: number;
  /** From when on nothing is missing. */
  readonly since_ms: number;
  readonly events: readonly AdminTokenEvent[];
}

/** `POST /admin/tokens/{name}/refresh`. */
export interface AdminTokenRefresh {
  readonly is_ok: boolean;
  readonly duration_ms: number;
  /** In words. */
  readonly message: string;
  readonly token: AdminToken;
}

/**
 * `paused`: by an administrator · `cooling`: left alone after failures · `probing`: one request tries whether it is back ·
 * `skipped`: it cannot serve (`defect`).
 */
export type AdminUpstreamState = 'up' | 'paused' | 'cooling' | 'probing' | 'skipped';

/** One item of `GET /admin/upstreams`. */
export interface AdminUpstream {
  readonly name: string;
  readonly state: AdminUpstreamState;
  /** The state in words. */
  readonly description: string;
  /** Why it is skipped. */
  readonly defect: string | null;
  /** Without user, password and query; null: none is configured. */
  readonly endpoint: string | null;
  readonly credentials: 'token' | 'key' | 'as_is' | 'none';
  /** The token source. */
  readonly token: string | null;
  /** Models that the configuration names. */
  readonly models: readonly string[];
  /** True: it also serves models that the configuration does not name. */
  readonly is_open_ended: boolean;
  readonly failures_in_row: number;
  /** How long it still cools down. */
  readonly cooling_ms: number;
  readonly paused_at_ms: number | null;
  readonly in_flight: number;
  /** 0: no limit. */
  readonly max_concurrency: number;
  readonly waiting: number;
  /** Rates that its refusals taught or the configuration states. */
  readonly rates: readonly { readonly model: string; readonly per_second: number }[];
  /** Models that get no requests here for now. */
  readonly paused_models: readonly {
    readonly model: string;
    readonly reason: 'rate_limited' | 'quota_exhausted' | 'model_not_found';
    readonly remaining_ms: number;
    readonly message: string;
  }[];
  /** The last five minutes. */
  readonly recent: RecentRequests;
  readonly last_error: AdminUpstreamError | null;
  /** What its responses needed before clients could read them, the most frequent first. */
  readonly repairs: readonly {
    readonly repair: string;
    readonly meaning: string;
    readonly responses: number;
  }[];
}

/** The last failed attempt at an upstream. */
export interface AdminUpstreamError {
  readonly at_ms: number;
  /** The kind, such as `timeout`. */
  readonly kind: string;
  /** The upstream's HTTP status. */
  readonly status: number | null;
  readonly message: string;
}

/** `GET /admin/upstreams`. */
export interface AdminUpstreams {
  readonly now_ms: number;
  readonly upstreams: readonly AdminUpstream[];
}

/** `POST /admin/upstreams/{name}/probe`: `GET /models` at the upstream, which costs no tokens. */
export interface AdminProbe {
  readonly is_ok: boolean;
  readonly duration_ms: number;
  /** In words. */
  readonly message: string;
  readonly upstream: AdminUpstream;
}

/** `GET /admin/models`. */
export interface AdminModels {
  readonly models: readonly {
    readonly id: string;
    /** In the order in which they are tried. */
    readonly upstreams: readonly { readonly name: string; readonly upstream_model: string }[];
  }[];
}

/** How a request ended. */
export type AdminOutcome =
  | 'ok'
  | 'client_error'
  | 'upstream_error'
  | 'stream_broken'
  | 'client_gone'
  | 'rate_limited';

/** One item of `GET /admin/requests` and of the event `request`. */
export interface AdminRequest {
  /** Clients may choose it, and may repeat it. */
  readonly id: string;
  readonly created_at_ms: number;
  readonly hostname: string;
  readonly client: string | null;
  readonly method: string;
  readonly path: string;
  readonly model: string | null;
  readonly upstream_model: string | null;
  readonly upstream: string | null;
  readonly is_stream: boolean;
  readonly status: number;
  readonly outcome: AdminOutcome;
  readonly attempts: number;
  readonly first_token_ms: number | null;
  readonly elapsed_ms: number;
  readonly prompt_tokens: number | null;
  readonly completion_tokens: number | null;
  readonly total_tokens: number | null;
  readonly error_code: string | null;
  readonly error_message: string | null;
}

/**
 * `GET /admin/requests`, newest first. Query: `since`, `until` (milliseconds since 1970, or ISO 8601), `client`, `model`, `upstream`,
 * `outcome`, `status`, `path`, `id`, `text` (in id, path, model, error, client, user agent), `errors=1` (all but `ok`), `limit` (1 to 200), `cursor`.
 */
export interface AdminRequests {
  readonly requests: readonly AdminRequest[];
  /** For the next, older page; null: there is none. */
  readonly next_cursor: string | null;
  /** Set when the time for one search was over before the page was full: older requests were not searched yet; go on with `next_cursor`. */
  readonly searched_until_ms: number | null;
}

/** One attempt on the time line of a request. Offsets are from the arrival of the request. */
export interface AdminAttempt {
  readonly upstream: string;
  /** `ok`, `stream_broken`, or the kind of its error. */
  readonly outcome: string;
  readonly status: number | null;
  /** Null: recorded by an older version. */
  readonly start_ms: number | null;
  readonly elapsed_ms: number;
  /** How long it waited for a slot or its turn before it began. */
  readonly queue_ms: number | null;
  /** How long it waited for a token. */
  readonly token_wait_ms: number | null;
  /** How long a new connection took to open, DNS and TLS included; null: one was open already. */
  readonly connect_ms: number | null;
  /** From its begin to the upstream's response headers. */
  readonly headers_ms: number | null;
  readonly token_renewed: boolean;
  /** Why it failed, in words. */
  readonly detail: string | null;
  /** What its response needed. */
  readonly repairs: readonly { readonly repair: string; readonly meaning: string }[];
}

/** A change of a request for an upstream. */
export interface AdminAdaptation {
  readonly upstream: string;
  /** As in `x-tokenferry-dropped`. */
  readonly change: string;
  /** Null: the configuration asks for it, or the API's own rules. */
  readonly reason: string | null;
}

/** `GET /admin/requests/{id}`: the newest request with that id. */
export interface AdminRequestDetail {
  readonly request: AdminRequest;
  readonly ip: string;
  readonly user_agent: string | null;
  readonly request_bytes: number;
  readonly response_bytes: number;
  readonly attempts: readonly AdminAttempt[];
  /** What was changed in the request for its upstreams, with the words of the upstream that asked for it. */
  readonly adaptations: readonly AdminAdaptation[];
  /** The client's own id, where many requests came with it; null: there is none, or it is `id`. */
  readonly client_request_id: string | null;
  /** Of its OpenTelemetry trace; null: it was not traced. */
  readonly trace_id: string | null;
  readonly headers: Readonly<Record<string, string>> | null;
  /** Kept as `record.content` says, cut and redacted; null: not kept. */
  readonly body: string | null;
  readonly response: string | null;
  /** How many requests have this id. */
  readonly same_id: number;
}

/** The key by which stats are grouped. */
export type StatsGroup = 'none' | 'model' | 'client' | 'upstream';

/** One time step of a series. Steps without requests are left out. */
export interface StatsPoint extends RequestTotals {
  readonly at_ms: number;
}

/**
 * `GET /admin/stats`. Query: `since`, `until`, `step` (seconds; a multiple of 60), `by`, and the filters `client`, `model`, `upstream`.
 * At most 50 series, the largest; the others together have the key `other`.
 */
export interface AdminStats {
  readonly since_ms: number;
  readonly until_ms: number;
  readonly step_ms: number;
  readonly by: StatsGroup;
  /** Of all series together. */
  readonly total: RequestTotals;
  readonly series: readonly {
    /** Null: requests without one. */
    readonly key: string | null;
    readonly total: RequestTotals;
    readonly points: readonly StatsPoint[];
  }[];
}

/**
 * Events of `GET /admin/events` (server-sent events): the name is the key, the data its value as JSON. `: keep-alive` comments
 * come in silence. A reader that is too slow is disconnected; reconnect and load the views again.
 */
export interface AdminEvents {
  /** First of all, and every five seconds. */
  readonly tick: AdminTick;
  /** A request finished. At most 50 a second are sent; the next `tick` counts those that were left out. */
  readonly request: AdminRequest;
  readonly token: AdminTokenEvent;
  readonly upstream: { readonly name: string; readonly state: AdminUpstreamState; readonly at_ms: number };
  readonly reload: ReloadState;
}

/** The pulse of the gateway. */
export interface AdminTick {
  readonly now_ms: number;
  readonly in_flight: number;
  /** The last minute. */
  readonly recent: RecentRequests;
  /** Requests that were left out of the events since the last tick. */
  readonly omitted_requests: number;
}

/** `GET /admin/config`: every key with its default, each secret as `[redacted]`. */
export interface AdminConfiguration {
  readonly path: string | null;
  readonly configuration: Readonly<Record<string, unknown>>;
  /** The same as YAML. */
  readonly yaml: string;
}

/** `POST /admin/log-level`. */
export interface LogLevelChange {
  readonly level: LogLevel;
}

/** `POST /admin/alerts/{name}/test`. */
export interface AdminAlertTest {
  readonly is_ok: boolean;
  readonly message: string;
}

/** The body of `POST /admin/setup/call`: the curl line with which one gets a token, as it was copied. */
export interface SetupCurl {
  readonly curl: string;
}

/** `POST /admin/setup/call`: what the token endpoint sent, with secrets hidden. */
export interface SetupCall {
  /** True: a token was found. */
  readonly is_ok: boolean;
  /** In words: what was found, or why there is none and what to do. */
  readonly message: string;
  readonly request: { readonly method: string; readonly url: string };
  /** Null: the issuer did not respond. */
  readonly status: number | null;
  readonly duration_ms: number;
  /** The values of the response; any of them may be chosen as token or expiry. */
  readonly values: readonly SetupValue[];
  readonly token_at: string | null;
  /** Null: the lifetime is found without it, or not stated. */
  readonly expires_at: string | null;
  readonly lifetime_ms: number | null;
}

/** One value of the response of a token endpoint. */
export interface SetupValue {
  /** A JSON pointer, `header:NAME`, `cookie:NAME`, `form:NAME` or `body`. */
  readonly at: string;
  /** The value, or what it looks like when it may be secret: `a JWT of 812 characters`. */
  readonly shown: string;
}

/** The body of `POST /admin/setup/draft`: the line again, and what was chosen. */
export interface SetupChoice extends SetupCurl {
  /** The base URL of the upstream that takes the token, usually up to `/v1`. */
  readonly endpoint: string;
  /** Absent: as found. */
  readonly token_at?: string;
  readonly expires_at?: string;
  /** What the token source is called; `corp` unless given. */
  readonly name?: string;
  /** The model of the chat that is tried. */
  readonly model?: string;
}

/** `POST /admin/setup/draft`: a configuration, tried with the issuer and the upstream. */
export interface SetupDraft {
  /** True: the chat worked. */
  readonly is_ok: boolean;
  /** What was tried, in words. */
  readonly findings: readonly { readonly verdict: 'ok' | 'warn' | 'fail'; readonly text: string }[];
  /** Secrets are `${NAME}`. */
  readonly yaml: string;
  /** The variables that the YAML names, for the `.env` beside it. */
  readonly environment: readonly { readonly name: string; readonly looks_like: string }[];
}
