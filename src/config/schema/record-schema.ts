import { list } from '../types/collection-types.ts';
import { field, optional, section, sectionOr } from '../types/fields.ts';
import { duration, integer, number, size } from '../types/number-types.ts';
import { choice, regularExpression, secret, secretUrl, text, url, word } from '../types/text-types.ts';

export const record = sectionOr(
  {
    content: field(choice('none', 'errors', 'all'), 'none', 'When request and response bodies are kept.'),
    max_body: field(size(), '64KiB', 'Longest body kept; the rest is cut.'),
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
    queue: field(integer({ min: 1 }), 10_000, 'Rows that wait for the store; more are dropped and counted.'),
  },
  'What is recorded of each request.',
);

export const log = sectionOr(
  {
    level: field(choice('debug', 'info', 'warn', 'error'), 'info', 'Least level written.'),
    format: field(choice('json', 'text'), 'json', 'Form of a line.'),
    file: optional(text, 'File instead of standard output.'),
  },
  'The log.',
);

export const metrics = sectionOr(
  { access: field(choice('open', 'key'), 'open', '`key`: a client key is needed to read them.') },
  'The Prometheus metrics.',
);

const ALERTS = ['upstream_down', 'upstream_up', 'token_failing', 'token_ok', 'all_failed'] as const;

export const notification = section(
  {
    type: field(
      choice('feishu', 'matrix', 'slack', 'wecom', 'dingtalk', 'teams', 'webhook'),
      'webhook',
      'Form of the message.',
    ),
    url: optional(secretUrl(), 'Where it is sent.'),
    events: field(list(choice(...ALERTS)), [...ALERTS], 'Changes of state that are told.'),
    every: field(duration(), '5m', 'At most one message per kind and upstream in this time.'),
    secret: optional(secret, 'Signs the message, where the receiver knows that.'),
    template: optional(text, 'Text of the message.'),
  },
  'Who is told when something changes its state.',
);

export const tracing = sectionOr(
  { otlp: optional(url(), 'OTLP/HTTP endpoint for traces; absent: none.') },
  'OpenTelemetry traces.',
);

export const admin = sectionOr(
  {
    key: optional(secret, 'Key of /admin and /ui; absent: both are off.'),
    address: optional(text, 'Own address for both; absent: the address of the service.'),
  },
  'The admin API and the dashboard.',
);
