import { z } from 'zod';
import { field, notA, optional, required, sectionOr, sectionOrNull, unwrapped, variant } from './fields.ts';
import {
  choice,
  duration,
  json,
  jsonMap,
  list,
  mapOf,
  number,
  secret,
  size,
  statuses,
  text,
  url,
  word,
} from './kinds.ts';
import { didYouMean } from './nearest.ts';
import { isMapping, scalarText } from './scalar.ts';
import { clientTls, proxy } from './shared-schema.ts';
import { bodyMatchers, placements } from './token-kinds.ts';

/** What every token source understands, whatever it gets its token from. */
const ofEverySource = {
  place: field(
    placements,
    { header: 'Authorization', prefix: 'Bearer ' },
    'Where the token goes in each request: a `header`, `query`, `cookie` or `body` name with an optional `prefix`, or several in a list.',
  ),
  reject: sectionOr(
    {
      statuses: field(statuses, [401], 'Upstream statuses that mean "this token is no longer good".'),
      body: field(
        bodyMatchers,
        [],
        'Upstream bodies that mean it, whatever the status: JSON pointers and the value, or list of values, found there.',
      ),
    },
    'How an upstream says that the token is no longer good: it is renewed and the request replayed once.',
  ),
  refresh: sectionOr(
    {
      at: optional(
        list(number({ min: 0.05, max: 0.95 }), { minItems: 1, maxItems: 2 }),
        'Share of the life, from and to, in which a renewal starts; jittered between the two. Default [0.40, 0.50]; [0.75, 0.80] with `rotation: exclusive`.',
      ),
      leeway: field(
        duration({ max: 3_600_000 }),
        15,
        'A token with less left is not used; at most 5 % of its life.',
      ),
      floor: field(
        duration({ max: 3_600_000 }),
        2,
        'The same while the issuer does not answer: better an old token than none; at most 1 % of its life.',
      ),
      attempt_timeout: optional(
        duration({ min: 1 }),
        'One call of the issuer. Default 10; for `exec` and `function` their `timeout`.',
      ),
      max_wait: field(duration(), 30, 'Longest time that a request waits for a token; then 503.'),
    },
    'When and how patiently the token is renewed.',
  ),
  rotation: field(
    choice('overlap', 'exclusive'),
    'overlap',
    '`exclusive`: a new token ends the life of the one before, so it is renewed late and never needlessly.',
  ),
  share: field(
    choice('none', 'file', 'shared'),
    'none',
    'Who renews: each process by itself, one process of this machine, one replica of all (`shared`).',
  ),
  default_ttl: field(
    duration({ min: 1_000, max: 10 * 365 * 86_400_000 }),
    240,
    'Life of a token that does not say when it ends.',
  ),
};

/** Where an answer keeps the token and its end; for sources that read an answer. */
const ofAnswers = {
  token_at: optional(
    text,
    'Where the token is: a JSON pointer (/data/accessToken), header:NAME, cookie:NAME, form:NAME, regex:..., or body. Default: the usual places.',
  ),
  expires_at: sectionOrNull(
    {
      pointer: optional(text, 'JSON pointer, or header:NAME, to the time.'),
      as: field(
        choice('auto', 'relative', 'absolute', 'jwt'),
        'auto',
        'A time from now, a point in time, or the `exp` of the token itself.',
      ),
      unit: field(choice('auto', 's', 'ms', 'us', 'ns', 'iso'), 'auto', 'Unit of the time.'),
    },
    'When the token ends. Default: `expires_in` and the like, and the `exp` of a JWT; the earliest counts.',
  ),
  refresh_in_at: optional(text, 'JSON pointer to the seconds after which the issuer wants a renewal.'),
};

const ofCalls = {
  tls: clientTls,
  proxy,
  max_response: field(size({ min: 1 }), '256KiB', 'Longest answer read from the issuer.'),
};

const staticSource = variant(
  { type: z.literal('static'), value: required(secret, 'The token.'), ...ofEverySource },
  'A token that does not change.',
);

const envSource = variant(
  { type: z.literal('env'), name: required(word, 'Name of the environment variable.'), ...ofEverySource },
  'A token from an environment variable.',
);

const fileSource = variant(
  {
    type: z.literal('file'),
    path: required(word, 'The file; read again when it changes.'),
    ...ofAnswers,
    ...ofEverySource,
  },
  'A token that something else writes to a file: a Kubernetes service account, a Vault agent, a sidecar.',
);

const execSource = variant(
  {
    type: z.literal('exec'),
    command: required(list(text, { minItems: 1 }), 'Program and arguments; no shell.'),
    env: field(mapOf(text), {}, 'Environment variables beside our own.'),
    timeout: field(duration({ min: 1 }), 30, 'The program and its children are ended after this.'),
    ...ofAnswers,
    ...ofEverySource,
  },
  'A token that a program prints: bare, as JSON, or as a Kubernetes ExecCredential.',
);

const oauth2Source = variant(
  {
    type: z.literal('oauth2'),
    token_url: required(url(), 'The token endpoint.'),
    grant: field(
      choice('client_credentials', 'password', 'refresh_token', 'jwt_bearer', 'token_exchange'),
      'client_credentials',
      'The grant (RFC 6749, 7523, 8693).',
    ),
    client_id: optional(text, 'Our client id.'),
    client_secret: optional(secret, 'Our client secret.'),
    auth: field(
      choice('basic', 'post', 'private_key_jwt', 'client_secret_jwt', 'mtls', 'none'),
      'basic',
      'How we prove who we are.',
    ),
    private_key: optional(secret, 'PEM, for private_key_jwt and jwt_bearer; usually from a file.'),
    key_id: optional(text, '`kid` of assertions.'),
    alg: optional(text, 'Signature algorithm of assertions, e.g. RS256. Default: what fits the key.'),
    assertion_audience: optional(text, '`aud` of assertions. Default: the token endpoint.'),
    assertion_claims: field(jsonMap, {}, 'More claims of assertions.'),
    username: optional(text, 'For the password grant.'),
    password: optional(secret, 'For the password grant.'),
    refresh_token: optional(secret, 'For the refresh_token grant.'),
    assertion: optional(secret, 'A ready assertion for jwt_bearer, instead of `private_key`.'),
    subject_token: optional(secret, 'For token_exchange.'),
    subject_token_type: field(
      word,
      'urn:ietf:params:oauth:token-type:access_token',
      'For token_exchange: what `subject_token` is.',
    ),
    scope: optional(text, 'Scopes, separated by blanks.'),
    params: field(mapOf(text), {}, 'More parameters of the request, e.g. audience or resource.'),
    headers: field(mapOf(text), {}, 'More headers of the request.'),
    encoding: field(choice('form', 'json'), 'form', 'Form of the request body.'),
    ...ofAnswers,
    ...ofCalls,
    ...ofEverySource,
  },
  'A token from an OAuth 2 or OpenID Connect token endpoint.',
);

const httpSource = variant(
  {
    type: z.literal('http'),
    url: required(url(), 'The issuer.'),
    method: field(choice('GET', 'POST', 'PUT', 'PATCH'), 'POST', 'Method of the request.'),
    headers: field(mapOf(text), {}, 'Headers; values may hold {{templates}}.'),
    query: field(mapOf(text), {}, 'Query parameters; values may hold {{templates}}.'),
    body_json: optional(json, 'JSON body; texts in it may hold {{templates}}.'),
    body_form: optional(mapOf(text), 'Form body; values may hold {{templates}}.'),
    body_text: optional(text, 'Any other body; may hold {{templates}}.'),
    vars: field(
      mapOf(secret),
      {},
      'Names for templates, e.g. the secret that signs; all are treated as secrets.',
    ),
    success: sectionOr(
      {
        status: optional(statuses, 'Statuses that mean success. Default: 200-299.'),
        json: field(jsonMap, {}, 'JSON pointers and the value that each must have, e.g. { /code: 0 }.'),
      },
      'When an answer is a success; many issuers answer errors with 200.',
    ),
    force: field(
      mapOf(text),
      {},
      'JSON body fields or query parameters added when the last token was refused, e.g. { force_refresh: "true" }.',
    ),
    ...ofAnswers,
    ...ofCalls,
    ...ofEverySource,
  },
  'A token from any HTTP endpoint.',
);

const jwtSource = variant(
  {
    type: z.literal('jwt'),
    alg: required(word, 'Signature algorithm, e.g. HS256, RS256, ES256, EdDSA.'),
    key: required(secret, 'The shared secret, or the private key as PEM.'),
    header: field(jsonMap, {}, 'More header fields.'),
    claims: field(jsonMap, {}, 'Claims; texts may hold {{templates}}.'),
    vars: field(mapOf(secret), {}, 'Names for templates; all are treated as secrets.'),
    ttl: field(duration({ min: 1_000, max: 10 * 365 * 86_400_000 }), 300, 'Life of each token.'),
    ...ofEverySource,
  },
  'A token that is signed here: Zhipu, Snowflake and the like.',
);

const functionSource = variant(
  {
    type: z.literal('function'),
    module: required(
      word,
      'ES module whose default export is an async function returning { value, lifetime_ms }.',
    ),
    options: field(jsonMap, {}, 'Handed to the function.'),
    timeout: field(duration({ min: 1 }), 30, 'The function has failed after this.'),
    ...ofEverySource,
  },
  'A token from own code.',
);

/** The token sources by their `type`. */
export const TOKEN_SOURCES = {
  static: staticSource,
  env: envSource,
  file: fileSource,
  exec: execSource,
  oauth2: oauth2Source,
  http: httpSource,
  jwt: jwtSource,
  function: functionSource,
} as const;

const TYPES = Object.keys(TOKEN_SOURCES);

export const tokenSource = z.preprocess(
  unwrapped,
  z.discriminatedUnion(
    'type',
    [staticSource, envSource, fileSource, execSource, oauth2Source, httpSource, jwtSource, functionSource],
    { error: (issue) => (issue.code === 'invalid_union' ? wrongType(issue.input) : notA('mapping')(issue)) },
  ),
);

function wrongType(source: unknown): string {
  const written = isMapping(source) ? scalarText(source.type) : null;
  return `must be one of ${TYPES.join(', ')}${didYouMean(written ?? '', TYPES)}`;
}
