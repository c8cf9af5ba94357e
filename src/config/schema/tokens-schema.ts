import { z } from 'zod';
import { didYouMean } from '../load/nearest-key.ts';
import { jsonMap, list, mapOf, scalar, statuses } from '../types/collection-types.ts';
import {
  field,
  notA,
  optional,
  required,
  sectionOr,
  sectionOrNull,
  unwrapped,
  variant,
} from '../types/fields.ts';
import { duration, number } from '../types/number-types.ts';
import { isMapping, scalarText } from '../types/scalar.ts';
import {
  templateJson,
  templateJsonMap,
  templateText,
  templateVariable,
  textOrSecret,
  textsOrSecret,
} from '../types/template-types.ts';
import { choice, secret, text, timeZone, url, word } from '../types/text-types.ts';
import { anyOrPatterns, bodyMatchers, headerMatchers, patterns, placements } from '../types/token-types.ts';
import { issuerProxy, issuerTls } from './shared-schema.ts';

/** Ten years: longer than any process runs. */
const MAX_TTL_MS = 10 * 365 * 86_400_000;

/** The keys that every token source has. */
const ofEverySource = {
  place: field(
    placements,
    { header: 'Authorization', prefix: 'Bearer ' },
    'Where the token goes in each request: a `header`, `query`, `cookie` or `body` name (a header with an optional `prefix`), or several in a list. `extra`: another value of the issuer response instead of the token.',
  ),
  reject: sectionOr(
    {
      statuses: field(statuses, [401], 'Upstream statuses that mean that the token is rejected.'),
      body: field(
        bodyMatchers,
        [],
        'Upstream bodies that mean that the token is rejected, with any status: JSON pointers and the value, or list of values, found there.',
      ),
      text: field(
        patterns,
        [],
        'Regular expressions (case-insensitive); one found in the beginning of an upstream body, with any status, means that the token is rejected. Results of a 2xx are not searched.',
      ),
      html: field(
        anyOrPatterns,
        false,
        '`true`: an HTML page with a status of success, such as a login page, means that the token is rejected; or regular expressions that the page must match.',
      ),
      redirect: field(
        anyOrPatterns,
        false,
        '`true`: a redirect means that the token is rejected; or regular expressions that its `location` must match, e.g. /login.',
      ),
      headers: field(
        headerMatchers,
        {},
        'Upstream headers that mean that the token is rejected, with any status: names, and `true` or regular expressions of the value.',
      ),
    },
    'How an upstream rejects a token: it is renewed and the request is replayed once.',
  ),
  refresh: sectionOr(
    {
      at: optional(
        list(number({ min: 0.05, max: 0.95 }), { minItems: 1, maxItems: 2 }),
        'Share of the lifetime, from and to, in which a renewal starts; jittered between the two. Default [0.40, 0.50]; [0.75, 0.80] with `rotation: exclusive`.',
      ),
      leeway: field(
        duration({ max: 3_600_000 }),
        15,
        'A token with less lifetime left is not used; at most 5 % of its lifetime.',
      ),
      floor: field(
        duration({ max: 3_600_000 }),
        2,
        'The same while the issuer does not respond; at most 1 % of the lifetime.',
      ),
      attempt_timeout: optional(
        duration({ min: 1 }),
        'Timeout of one request to the issuer. Default 10; for `exec` its `timeout`.',
      ),
      max_wait: field(duration(), 30, 'Maximum time that a request waits for a token; then it gets 503.'),
    },
    'When the token is renewed, and how long requests wait for it.',
  ),
  rotation: field(
    choice('overlap', 'exclusive'),
    'overlap',
    '`exclusive`: the issuer revokes the previous token when it issues a new one, so it is renewed late and never without need.',
  ),
  share: field(
    choice('none', 'file', 'shared'),
    'none',
    'Who renews: each process by itself, one process of this machine, one replica of all (`shared`).',
  ),
  default_ttl: field(
    duration({ min: 1_000, max: MAX_TTL_MS }),
    240,
    'Lifetime of a token without a stated expiry.',
  ),
};

const expiresAt = sectionOrNull(
  {
    pointer: optional(text, 'JSON pointer, or header:NAME, to the time.'),
    as: field(
      choice('auto', 'relative', 'absolute', 'jwt'),
      'auto',
      'A time from now, a point in time, or the `exp` of the token itself.',
    ),
    unit: field(choice('auto', 's', 'ms', 'us', 'ns', 'iso'), 'auto', 'Unit of the time.'),
    zone: optional(
      timeZone,
      'Time zone of a date that states none: `+08:00` or `Asia/Shanghai`. Default: that of this machine.',
    ),
  },
  'When the token expires. Default: `expires_in` and the like, and the `exp` of a JWT; the earliest counts.',
);

const extra = field(
  mapOf(word),
  {},
  'More values of the issuer response that `place` can name in `extra`, and `sign` and templates of the next source of a chain: names and their places, as in `token_at`.',
);

const extraOfJson = field(
  mapOf(word),
  {},
  'More values of its JSON that `place`, `sign` and templates of the next source of a chain can name: names and their JSON pointers.',
);

const tokenUse = field(
  choice('many', 'once'),
  'many',
  'How often a token of the other sources can be used. `once`: a new one is obtained for each request to this issuer, as for tickets that work once.',
);

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
    token_at: optional(word, 'JSON pointer to the token, when the file holds JSON.'),
    extra: extraOfJson,
    ...ofEverySource,
  },
  'A token that something else writes to a file: a Kubernetes service account, a Vault agent, a sidecar.',
);

const execSource = variant(
  {
    type: z.literal('exec'),
    command: required(list(text, { minItems: 1 }), 'Program and arguments; no shell.'),
    env: field(mapOf(textOrSecret), {}, 'Environment variables beside our own.'),
    cwd: optional(word, 'Directory in which it runs. Default: the working directory.'),
    timeout: field(duration({ min: 1 }), 30, 'The program and its children are ended after this.'),
    format: field(
      choice('auto', 'text', 'json', 'exec_credential', 'az', 'gcloud', 'gcp_executable'),
      'auto',
      'What it prints: the bare token, JSON with `token_at`, or the JSON of well-known programs; `auto` finds out.',
    ),
    token_at: optional(word, 'JSON pointer to the token, for `json`.'),
    extra: extraOfJson,
    expires_at: expiresAt,
    ...ofEverySource,
  },
  'A token that a program prints: bare, as JSON, or as a Kubernetes ExecCredential.',
);

const jwtSource = variant(
  {
    type: z.literal('jwt'),
    alg: required(word, 'Signature algorithm, e.g. HS256, RS256, ES256, EdDSA.'),
    key: required(secret, 'The shared secret; or the private key as PEM, or the name of a PEM file.'),
    passphrase: optional(secret, 'Passphrase of `key`.'),
    header: field(templateJsonMap, {}, 'More header fields; texts may hold {{templates}}.'),
    claims: field(templateJsonMap, {}, 'Claims; texts may hold {{templates}}.'),
    vars: field(mapOf(templateVariable), {}, 'Names for templates.'),
    ttl: field(duration({ min: 1_000, max: MAX_TTL_MS }), 300, 'Lifetime of each token.'),
    ...ofEverySource,
  },
  'A token that is signed here: Zhipu, Snowflake and the like.',
);

const functionSource = variant(
  {
    type: z.literal('function'),
    module: required(
      word,
      'ES module whose default export is an async function returning the token, or { value, lifetime_ms }.',
    ),
    export: optional(word, 'Name of the exported function, when it is not the default export.'),
    ...ofEverySource,
  },
  'A token from own code.',
);

/** How a JWT that authenticates this client is signed. */
function assertion(description: string) {
  return sectionOrNull(
    {
      alg: field(word, 'RS256', 'Signature algorithm.'),
      key: optional(secret, 'The private key as PEM, or the name of a PEM file.'),
      passphrase: optional(secret, 'Passphrase of `key`.'),
      audience: optional(text, '`aud`. Default: the token endpoint.'),
      header: field(templateJsonMap, {}, 'More header fields, e.g. kid; texts may hold {{templates}}.'),
      claims: field(templateJsonMap, {}, 'More claims, e.g. iss, sub, scope; texts may hold {{templates}}.'),
      ttl: field(duration({ min: 1_000 }), 60, 'Its lifetime.'),
    },
    description,
  );
}

const oauth2Source = variant(
  {
    type: z.literal('oauth2'),
    token_url: required(url(), 'The token endpoint.'),
    grant: field(
      choice('client_credentials', 'password', 'refresh_token', 'jwt_bearer', 'token_exchange'),
      'client_credentials',
      'The grant (RFC 6749, 7523, 8693).',
    ),
    client_id: optional(text, 'Client id.'),
    client_secret: optional(secret, 'Client secret.'),
    auth: field(
      choice('basic', 'post', 'private_key_jwt', 'client_secret_jwt', 'mtls', 'none'),
      'basic',
      'Client authentication method.',
    ),
    auth_encoding: field(
      choice('strict', 'loose'),
      'strict',
      '`loose`: id and secret go into Basic without percent-encoding, for servers that do not decode them (RFC 6749 2.3.1).',
    ),
    client_assertion: assertion('How the JWT of private_key_jwt and client_secret_jwt is made.'),
    client_assertion_token: optional(word, 'Or: the source, by name, whose token is that JWT.'),
    username: optional(text, 'For the password grant.'),
    password: optional(secret, 'For the password grant.'),
    refresh_token: optional(secret, 'For the refresh_token grant: the first one; rotated ones replace it.'),
    refresh_token_file: optional(word, 'File that keeps rotated refresh tokens across restarts.'),
    assertion: assertion('For the jwt_bearer grant: how the assertion is signed.'),
    assertion_token: optional(word, 'Or: the source, by name, whose token is the assertion.'),
    subject_token: optional(word, 'For token_exchange: the source, by name, whose token is exchanged.'),
    subject_token_type: optional(text, 'For token_exchange: its type. Default: an access token.'),
    actor_token: optional(word, 'For token_exchange: the source, by name, of the acting party.'),
    actor_token_type: optional(text, 'For token_exchange: the type of the actor token.'),
    token_use: tokenUse,
    scope: optional(text, 'Scopes, separated by blanks.'),
    params: field(
      mapOf(textsOrSecret),
      {},
      'More parameters of the request, e.g. audience or resource; a list repeats the parameter.',
    ),
    headers: field(mapOf(textOrSecret), {}, 'More headers of the request.'),
    encoding: field(choice('form', 'json'), 'form', 'Encoding of the request body.'),
    token_field: optional(word, 'Member of the response that holds the token. Default: access_token.'),
    extra,
    tls: issuerTls,
    proxy: issuerProxy,
    ...ofEverySource,
  },
  'A token from an OAuth 2 or OpenID Connect token endpoint.',
);

const httpSource = variant(
  {
    type: z.literal('http'),
    url: required(url(), 'The issuer.'),
    method: optional(
      choice('GET', 'POST', 'PUT', 'PATCH'),
      'Method of the request. Default: POST with a body, GET without one.',
    ),
    headers: field(mapOf(templateText), {}, 'Headers; values may hold {{templates}}.'),
    query: field(mapOf(templateText), {}, 'Query parameters; values may hold {{templates}}.'),
    body_json: optional(templateJson, 'JSON body; texts in it may hold {{templates}}.'),
    body_form: optional(mapOf(templateText), 'Form body; values may hold {{templates}}.'),
    body_text: optional(templateText, 'Any other body; may hold {{templates}}.'),
    vars: field(
      mapOf(templateVariable),
      {},
      'Names for templates, e.g. the secret that signs. Treated as secrets.',
    ),
    basic: sectionOrNull(
      { username: required(text, 'User.'), password: required(secret, 'Password.') },
      'HTTP Basic authentication.',
    ),
    token: optional(
      word,
      'Another source, by name, whose token templates know as `token`, and its `extra` values by their names.',
    ),
    token_use: tokenUse,
    success: sectionOr(
      {
        status: optional(statuses, 'Statuses that mean success. Default: 200-299.'),
        json: field(jsonMap, {}, 'JSON pointers and the value that each must have, e.g. { /code: 0 }.'),
      },
      'When a response is a success; many issuers respond to errors with status 200.',
    ),
    denied: sectionOrNull(
      {
        status: optional(statuses, 'Statuses that mean wrong credentials. Default: any.'),
        json: field(
          jsonMap,
          {},
          'JSON pointers and the value, or list of values, that mean wrong credentials.',
        ),
      },
      'Responses that mean wrong credentials: retried every 30 s only, so that the account does not get locked.',
    ),
    token_at: field(
      word,
      '/access_token',
      'Where the token is: a JSON pointer (/data/accessToken), header:NAME, cookie:NAME, form:NAME, regex:... (its first group), or body; a part of one of those: header:Location regex:[^/]+$.',
    ),
    expires_at: expiresAt,
    refresh_in_at: optional(text, 'JSON pointer to the seconds after which the issuer recommends a renewal.'),
    force: sectionOrNull(
      {
        in: field(choice('query', 'body'), 'body', 'Where the parameter goes.'),
        name: required(word, 'Its name.'),
        value: field(scalar, true, 'Its value.'),
      },
      'Added to the request after the last token was rejected, for issuers that would return the same token again.',
    ),
    extra,
    tls: issuerTls,
    proxy: issuerProxy,
    ...ofEverySource,
  },
  'A token from any HTTP endpoint.',
);

/** The token sources by their `type`. */
const TOKEN_SOURCES = {
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
