import type { z } from 'zod';
import { ALERT_EVENTS } from '../../observability/alerts/alert.ts';
import { ALERT_TYPES } from '../../observability/alerts/alert-types.ts';
import { list, mapOf, oneOrMore, statuses } from '../types/collection-types.ts';
import {
  field,
  listOf,
  named,
  optional,
  required,
  section,
  sectionOr,
  sectionOrNull,
} from '../types/fields.ts';
import { duration, flag, integer, number, size } from '../types/number-types.ts';
import { textOrSecret } from '../types/template-types.ts';
import {
  basePath,
  choice,
  fileName,
  pathGlob,
  regularExpression,
  secret,
  secretsByComma,
  secretUrl,
  sha256,
  text,
  url,
  urlOrWord,
  word,
} from '../types/text-types.ts';
import { serverTls, UPSTREAM_TIMEOUTS, upstreamProxy, upstreamTls } from './shared-schema.ts';
import { tokenSource } from './tokens-schema.ts';
import { upstream } from './upstreams-schema.ts';

const clientTokens = sectionOrNull(
  {
    issuer: required(url(), 'The `iss` of its tokens.'),
    audience: required(oneOrMore(word), 'What `aud` must contain: one of these.'),
    jwks: optional(
      url(),
      'Where the keys of the issuer are. Default: as `<issuer>/.well-known/openid-configuration` says.',
    ),
    name_claim: field(
      word,
      'sub',
      'Claim with the name of the person or program; in records it stands behind that of the client: `staff (alice)`.',
    ),
    models_claim: optional(
      word,
      'Claim with the models that it may use: a list, or names separated by spaces; `models` holds as well. Without the claim: none.',
    ),
    leeway: field(duration({ max: 300_000 }), '30s', 'How far the clocks may differ.'),
    ca: optional(fileName, 'File with the authorities of the issuer’s certificate (PEM).'),
  },
  'The company’s own tokens (JWT) in place of a key: checked with the issuer’s keys, and never sent on.',
);

const client = section(
  {
    name: required(word, 'Its name in records, metrics and `upstreams[].clients`.'),
    key: optional(secret, 'Its key.'),
    key_sha256: optional(sha256, 'SHA-256 of its key in hex, instead of the key.'),
    certificate: optional(
      word,
      'Common name or DNS name of its certificate, which an authority of `tls.client_ca` signed, instead of a key; may be a glob.',
    ),
    jwt: clientTokens,
    models: field(list(word), ['*'], 'Models that it may use: names and globs.'),
    paths: field(
      list(pathGlob),
      ['/**'],
      'Paths that it may use: globs, each with an optional method before it. Default: all that `pass_through` allows.',
    ),
    rpm: field(
      integer({ min: 0 }),
      0,
      'Requests per minute, model lists not counted; 0: no limit. More get 429.',
    ),
    tpm: field(
      integer({ min: 0 }),
      0,
      'Tokens per minute, counted from the usage of finished responses, so the request after the limit gets 429; 0: no limit.',
    ),
    max_concurrency: field(
      integer({ min: 0 }),
      0,
      'Maximum number of concurrent requests; 0: no limit. More get 429.',
    ),
  },
  'A named client key.',
);

const limits = sectionOr(
  {
    body: field(size({ min: 1 }), '64MiB', 'Maximum size of a JSON request body.'),
    upload: field(size({ min: 1 }), '1GiB', 'Maximum size of a passed-through request body.'),
    replay: field(
      size({ min: 0 }),
      '8MiB',
      'Maximum size of a passed-through body that is kept in memory for a second attempt.',
    ),
    buffered: field(size({ min: 1 }), '1GiB', 'Maximum size of all bodies in memory together.'),
    header_bytes: field(size({ min: 4_096 }), '64KiB', 'Maximum size of all headers of one request.'),
    response: field(size({ min: 1 }), '256MiB', 'Maximum size of an upstream response that is not a stream.'),
    concurrency: field(integer({ min: 1 }), 2000, 'Maximum number of concurrent requests; more get 503.'),
  },
  'Limits that protect this process.',
);

const passThrough = sectionOr(
  {
    deny: field(
      list(pathGlob),
      ['/v1/organization/**', '/v1/projects/**', 'DELETE /v1/models/*'],
      'Paths refused with 403: globs, each with an optional method before it.',
    ),
  },
  'Paths that are neither chat, completions, embeddings, rerank nor models.',
);

const record = sectionOr(
  {
    content: field(choice('none', 'errors', 'all'), 'none', 'When request and response bodies are kept.'),
    max_body: field(size(), '64KiB', 'Maximum size of a kept body; the rest is cut.'),
    keep_headers: field(list(word), ['user-agent', 'x-request-id'], 'Request headers kept.'),
    include: sectionOr(
      {
        models: field(list(word), ['*'], 'Models: names and globs.'),
        clients: field(list(word), ['*'], 'Clients: names and globs.'),
        paths: field(list(word), ['*'], 'Paths: names and globs.'),
        sample: field(number({ min: 0, max: 1 }), 1, 'Share of the requests, 0 to 1.'),
      },
      'Whose bodies are kept; every request has its row in any case.',
    ),
    redact: field(
      list(regularExpression),
      [],
      'Regular expressions whose matches are blanked in bodies; e-mail addresses and key-like strings are built in.',
    ),
    retention: field(
      duration({ max: 100 * 365 * 86_400_000 }),
      '30d',
      'Rows older than this are deleted; 0: never.',
    ),
    queue: field(
      integer({ min: 1 }),
      10_000,
      'Maximum number of rows waiting for the database; more are dropped and counted.',
    ),
  },
  'What is recorded of each request.',
);

const log = sectionOr(
  {
    level: field(choice('debug', 'info', 'warn', 'error'), 'info', 'Minimum level that is written.'),
    format: optional(
      choice('json', 'text'),
      'Format of a line. Default: text when standard output is a terminal and no `file` is set, else json.',
    ),
    file: optional(text, 'File instead of standard output.'),
    bodies: field(
      choice('assembled', 'chunks'),
      'assembled',
      'At level debug each request has a line with its payload and one with its response, a stream assembled; `chunks`: also a line for each piece of it as it is sent.',
    ),
  },
  'The log.',
);

const metrics = sectionOr(
  { access: field(choice('open', 'key'), 'open', '`key`: a client key is needed to read them.') },
  'The Prometheus metrics.',
);

const notification = section(
  {
    name: optional(
      word,
      'Its name in `tokenferry alert test` and in the log. Default: its type, `feishu-2` for the second of them.',
    ),
    type: field(choice(...ALERT_TYPES), 'webhook', 'Service that receives the messages.'),
    url: optional(
      secretUrl('http', 'https', 'smtp', 'smtps'),
      'Where they are sent. email: `smtp://user:password@host:587` or `smtps://`; pagerduty: its Events API unless given.',
    ),
    events: field(
      list(choice(...ALERT_EVENTS)),
      [...ALERT_EVENTS],
      'Changes of state that cause a message. Those without a recovery of their own in this list bring it along.',
    ),
    every: field(duration(), '5m', 'At most one message per event and part in this time.'),
    secret: optional(secret, 'Secret that signs the messages: feishu, dingtalk, webhook.'),
    room: optional(
      word,
      'matrix: the room, with `token`; `url` is then the homeserver. Absent: `url` is complete.',
    ),
    token: optional(secret, 'matrix: the access token.'),
    key: optional(secret, 'pagerduty: the integration key (Events API v2).'),
    from: optional(word, 'email: the sender.'),
    to: field(list(word), [], 'email: the recipients.'),
    headers: field(mapOf(textOrSecret), {}, 'More headers of the requests.'),
    template: optional(
      text,
      'Text of a message, or the whole body for `webhook`, with {{title}}, {{text}}, {{event}}, {{state}} and the other names of docs/alerts.md.',
    ),
    tls: upstreamTls,
    proxy: upstreamProxy,
  },
  'Where alerts on a change of state are sent.',
);

const tracing = sectionOr(
  {
    otlp: optional(
      urlOrWord('env'),
      'OTLP/HTTP endpoint that traces are sent to; `/v1/traces` is added unless it ends so. `env`: as `OTEL_EXPORTER_OTLP_ENDPOINT` says. Absent: no traces.',
    ),
  },
  'OpenTelemetry traces (docs/tracing.md).',
);

const admin = sectionOr(
  {
    key: optional(secret, 'Key of /admin and /ui; absent: both answer to this machine only.'),
    address: optional(text, 'Own address for both; absent: the address of the service.'),
  },
  'The admin API and the dashboard.',
);

const timing = {
  timeout: field(duration({ min: 1 }), 120, UPSTREAM_TIMEOUTS.timeout),
  stream_timeout: field(
    duration({ min: 1 }),
    10,
    `${UPSTREAM_TIMEOUTS.stream_timeout} The last gets \`timeout\`.`,
  ),
  first_content_timeout: field(
    duration({ min: 1 }),
    60,
    `${UPSTREAM_TIMEOUTS.first_content_timeout} The last gets \`timeout\`.`,
  ),
  embeddings_timeout: field(duration({ min: 1 }), 25, UPSTREAM_TIMEOUTS.embeddings_timeout),
  connect_timeout: field(duration({ min: 1 }), 5, UPSTREAM_TIMEOUTS.connect_timeout),
  idle_timeout: field(duration({ min: 1 }), 120, UPSTREAM_TIMEOUTS.idle_timeout),
  stream_total_timeout: field(duration(), 0, 'Total duration of a stream; 0: no limit.'),
  deadline: field(
    duration({ min: 1 }),
    300,
    'All attempts, token waits and queueing of one request together, up to the first content.',
  ),
  early_headers: field(
    duration(),
    30,
    'Stream: after this, headers and keep-alive comments go to the client while attempts go on; 0: never.',
  ),
  keep_alive_comments: field(
    duration(),
    15,
    'Stream: a `: keep-alive` comment after this much silence; 0: never.',
  ),
  keep_alive_chunks: field(
    duration(),
    0,
    'Stream: an event with empty choices after this much silence between content, for clients that ignore comments (LangChain gives up after 120 s); never within reasoning; 0: never.',
  ),
  keep_alive_timeout: field(duration({ min: 1 }), 75, 'Idle client connections are closed after this.'),
  shutdown_grace: field(duration(), 30, 'How long running requests may finish after SIGTERM.'),
};

const choosing = {
  lb_policy: field(choice('order', 'random', 'least_busy'), 'order', 'Which candidate is tried first.'),
  retry: sectionOr(
    {
      statuses: field(
        statuses,
        [408, 425, 500, 502, 503, 504, '520-529'],
        'Upstream statuses after which the next candidate is tried.',
      ),
      same_upstream: field(
        integer({ min: 0, max: 10 }),
        1,
        'Retries of the only candidate after such a status.',
      ),
      backoff: field(duration(), '200ms', 'Pause before the first retry; doubles.'),
    },
    'Retries.',
  ),
  cool_down: sectionOr(
    {
      failures: field(integer({ min: 1 }), 3, 'Failures in a row that open the circuit of an upstream.'),
      first: field(duration({ min: 1 }), 5, 'First pause; doubles.'),
      max: field(duration({ min: 1 }), 60, 'Maximum pause.'),
    },
    'The pause in which a failing upstream gets no requests.',
  ),
  probe: sectionOr(
    { every: field(duration(), 0, 'Interval of GET /models to a cooling upstream; 0: never.') },
    'Probes of cooling upstreams.',
  ),
  on_disconnect: field(
    choice('abort', 'finish'),
    'abort',
    '`finish`: the response is read to its end for the record after the client has disconnected.',
  ),
  reply_model: field(
    choice('upstream', 'requested'),
    'upstream',
    'Which model name responses carry; a missing one is always filled with the requested one.',
  ),
};

const storage = {
  embeddings_cache: sectionOr(
    {
      size: field(
        size(),
        0,
        'Maximum bytes of kept vectors; 0: off. The least recently used are dropped. A vector of 1024 numbers takes 4 KiB when clients ask for base64, 5 to 9 KiB for floats.',
      ),
      path: optional(
        text,
        'SQLite file in which they outlive a restart, of its own and on a local disk. Default: they are kept in memory.',
      ),
    },
    'Vectors kept per input, by upstream, its model, dimensions and every other parameter, and text: what is known is not asked again. Never with `sk: asis` or `keep_header: true`.',
  ),
  shared: optional(
    secretUrl('postgres', 'postgresql'),
    'PostgreSQL through which replicas share the tokens of sources with `share: shared`, and the state of alerts.',
  ),
  shared_key: optional(secret, '32 bytes in base64 that encrypt the tokens there; required with `shared`.'),
  dbtype: field(
    choice('sqlite', 'postgres', 'none'),
    'sqlite',
    'Database of the records. PostgreSQL: the same table, in one partition a day, shared by replicas.',
  ),
  dbaddr: field(word, './db.sqlite', 'A path, a libpq keyword string, or a postgres:// URL.'),
};

/** Every key of the file, with its default, unit and meaning. */
export const configSchema = section(
  {
    address: optional(
      text,
      'host:port or :port to listen on. Default: ":8888" when every request needs a key, else 127.0.0.1:8888.',
    ),
    tls: serverTls,
    base_path: field(
      basePath,
      '',
      'Path below which everything is served as well, e.g. /agent/api/llm_proxy.',
    ),
    hostname: optional(text, 'Written to records. Default: the name of the machine.'),
    workers: field(
      integer({ min: 0, max: 256 }),
      1,
      'Processes of this machine that share the port; 0: one for each core.',
    ),
    trusted_proxies: field(
      list(word),
      [],
      'Addresses and networks whose X-Forwarded-For is believed: 10.0.0.0/8, fd00::/8, loopback, linklocal, uniquelocal.',
    ),
    authorization: field(secretsByComma, [], 'Client keys.'),
    noauth: field(flag, false, 'No client key needed. No keys and not noauth: loopback only.'),
    clients: listOf(client, 'Named client keys, beside `authorization`.'),
    limits,
    pass_through: passThrough,
    ...timing,
    ...choosing,
    tokens: named(tokenSource, 'Token sources by name.'),
    upstreams: listOf(upstream, 'The upstreams, in the order in which they are tried.'),
    ...storage,
    record,
    log,
    metrics,
    notify: listOf(notification, 'Alerts on a change of state.'),
    tracing,
    admin,
  },
  'The configuration of tokenferry.',
);

/** The contents of the file, checked and with defaults; before `complete` derives the rest. */
export type WrittenConfig = z.output<typeof configSchema>;
