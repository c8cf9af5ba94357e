import type { z } from 'zod';
import { list, statuses } from '../types/collection-types.ts';
import { field, listOf, named, optional, section, sectionOr } from '../types/fields.ts';
import { duration, flag, integer, size } from '../types/number-types.ts';
import { basePath, choice, secret, secretsByComma, secretUrl, text, word } from '../types/text-types.ts';
import { client, limits, passThrough } from './clients-schema.ts';
import { admin, log, metrics, notification, record, tracing } from './record-schema.ts';
import { serverTls, UPSTREAM_TIMEOUTS } from './shared-schema.ts';
import { tokenSource } from './tokens-schema.ts';
import { upstream } from './upstreams-schema.ts';

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
  stream_total_timeout: field(duration(), 0, 'A whole stream; 0: no limit.'),
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
    'Stream: a `: keep-alive` block after so much silence; 0: never.',
  ),
  keep_alive_chunks: field(
    duration(),
    0,
    'Stream: an event with empty choices after so much silence between content, for clients that take comments for silence (LangChain gives up after 120 s); never within reasoning; 0: never.',
  ),
  keep_alive_timeout: field(duration({ min: 1 }), 75, 'Idle client connections are closed after this.'),
  shutdown_grace: field(
    duration(),
    30,
    'Running streams may finish in this time when the process is told to end.',
  ),
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
        'How often the only candidate is asked again after such a status.',
      ),
      backoff: field(duration(), '200ms', 'Pause before that; doubles.'),
    },
    'Trying again.',
  ),
  cool_down: sectionOr(
    {
      failures: field(integer({ min: 1 }), 3, 'Failures in a row that open the circuit of an upstream.'),
      first: field(duration({ min: 1 }), 5, 'First pause; doubles.'),
      max: field(duration({ min: 1 }), 60, 'Longest pause.'),
    },
    'The pause in which a failing upstream gets no requests.',
  ),
  probe: sectionOr(
    { every: field(duration(), 0, 'A cooling upstream is asked GET /models so often; 0: never.') },
    'Asking a cooling upstream whether it is back.',
  ),
  on_disconnect: field(
    choice('abort', 'finish'),
    'abort',
    '`finish` reads the rest for the record when the client left.',
  ),
  reply_model: field(
    choice('upstream', 'requested'),
    'upstream',
    'Which model name replies carry; a missing one is always filled with the requested.',
  ),
};

const storage = {
  embeddings_cache: sectionOr(
    { size: field(size(), 0, 'Memory for vectors; 0: off.') },
    'Embeddings kept per input, keyed by upstream, its model, dimensions and text.',
  ),
  shared: optional(
    secretUrl('postgres', 'postgresql'),
    'PostgreSQL through which replicas share the tokens of sources with `share: shared`.',
  ),
  shared_key: optional(secret, '32 bytes in base64 that encrypt the tokens there; required with `shared`.'),
  dbtype: field(
    choice('sqlite', 'postgres', 'none'),
    'sqlite',
    'Store of the records. PostgreSQL: the same table, in one partition a day, shared by replicas.',
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

/** What the file says, checked and with defaults; before `complete` derives the rest. */
export type WrittenConfig = z.output<typeof configSchema>;
