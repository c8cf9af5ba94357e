import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load, problemsOf, warningsOf } from './config-text.ts';

/** A configuration whose upstreams use all of these sources. */
function sources(entries: Readonly<Record<string, string>>): string {
  const names = Object.keys(entries);
  const upstreams = names.map((name) => `  - { endpoint: "https://llm.example/v1", token: ${name} }\n`);
  const tokens = Object.entries(entries).map(([name, entry]) => `  ${name}: { ${entry} }\n`);
  return `authorization: k\nupstreams:\n${upstreams.join('')}tokens:\n${tokens.join('')}`;
}

const sourceOf = (entry: string) => {
  const source = load(sources({ t: entry })).config.tokens.t;
  assert.ok(source);
  return source;
};

const URL = 'https://auth.example/token';
const STATIC = 'type: static, value: abcdef';

test('a source gets its defaults', () => {
  const source = sourceOf(STATIC);
  assert.deepEqual(source.place, [{ header: 'Authorization', prefix: 'Bearer ' }]);
  assert.deepEqual(source.reject, {
    statuses: [401],
    body: [],
    text: [],
    html: [],
    redirect: [],
    headers: [],
  });
  assert.deepEqual(source.refresh, {
    at: [0.4, 0.5],
    leeway: 15_000,
    floor: 2_000,
    attempt_timeout: 10_000,
    max_wait: 30_000,
  });
  assert.equal(source.default_ttl, 240_000);
});

test('renewal is late where a new token revokes the old one', () => {
  assert.deepEqual(sourceOf(`${STATIC}, rotation: exclusive`).refresh.at, [0.75, 0.8]);
  assert.deepEqual(
    sourceOf(`${STATIC}, rotation: exclusive, refresh: { at: [0.3, 0.6] }`).refresh.at,
    [0.3, 0.6],
  );
  assert.deepEqual(sourceOf(`${STATIC}, refresh: { at: [0.3] }`).refresh.at, [0.3, 0.3]);
});

test('a program gets its own time for one attempt', () => {
  assert.equal(sourceOf('type: exec, command: [a], timeout: 45').refresh.attempt_timeout, 45_000);
  assert.equal(
    sourceOf('type: exec, command: [a], refresh: { attempt_timeout: 7 }').refresh.attempt_timeout,
    7_000,
  );
});

test('refresh has ranges', () => {
  assert.deepEqual(
    problemsOf(
      sources({
        a: `${STATIC}, refresh: { at: [0.5, 0.4] }`,
        b: `${STATIC}, refresh: { at: [0, 2] }`,
        c: `${STATIC}, refresh: { at: [0.1, 0.2, 0.3] }`,
        d: `${STATIC}, refresh: { leeway: 1, floor: 2 }`,
      }),
    ).map((problem) => problem.replace(/^\d+ tokens\./, '')),
    [
      'a.refresh.at: must go from the smaller to the larger share',
      'b.refresh.at[0]: must be at least 0.05',
      'b.refresh.at[1]: must be at most 0.95',
      'c.refresh.at: must have at most 2 items',
      'd.refresh.floor: must not be longer than leeway',
    ],
  );
});

test('a token goes to one place or to several', () => {
  assert.deepEqual(sourceOf(`${STATIC}, place: { query: access_token }`).place, [{ query: 'access_token' }]);
  assert.deepEqual(
    sourceOf(`${STATIC}, place: [{ header: X-A }, { cookie: SSO }, { body: token, extra: id }]`).place,
    [{ header: 'X-A' }, { cookie: 'SSO' }, { body: 'token', extra: 'id' }],
  );
});

test('places that cannot work are reported', () => {
  const placed = (place: string) =>
    problemsOf(sources({ t: `${STATIC}, place: ${place}` }))[0]?.replace(/^\d+ tokens\.t\./, '');
  assert.equal(placed('{ heder: X }'), 'place.heder: unknown key; did you mean "header"?');
  assert.equal(placed('{ header: "a b" }'), 'place: the header name is not valid');
  assert.equal(placed('{ header: a, query: b }'), 'place: must name one of header, query, cookie, body');
  assert.equal(placed('{ query: a, prefix: b }'), 'place: prefix is for headers only');
  assert.equal(placed('[]'), 'place: must not be empty');
  assert.equal(placed('Authorization'), 'place: must be a mapping such as { header: X-Token }, is text');
});

test('bodies that reject a token are pointers and values', () => {
  const source = sourceOf(
    `${STATIC}, reject: { statuses: [401, 403], body: [{ /error_code: [110, "111"] }, { /code: token_expired }] }`,
  );
  assert.deepEqual(source.reject.statuses, [401, 403]);
  assert.deepEqual(source.reject.body, [
    { path: '/error_code', equals: [110, '111'] },
    { path: '/code', equals: ['token_expired'] },
  ]);
  assert.equal(problemsOf(sources({ t: `${STATIC}, reject: { body: [{ error: 1 }] }` })).length, 1);
});

test('pages, redirects, texts and headers that reject a token are on, off or regular expressions without case', () => {
  const { reject } = sourceOf(
    `${STATIC}, reject: { text: expired, html: true, redirect: [/login, /sso], headers: { X-State: expired, x-off: false } }`,
  );
  assert.deepEqual(reject.text, [/expired/i]);
  assert.deepEqual(reject.redirect, [/\/login/i, /\/sso/i]);
  assert.deepEqual(reject.headers, [{ name: 'x-state', patterns: [/expired/i] }]);
  assert.equal(reject.html.length, 1);
  assert.deepEqual(sourceOf(`${STATIC}, reject: { html: false, redirect: no }`).reject.redirect, []);
  const invalid = `${STATIC}, reject: { text: "(", html: ["["], headers: { "a b": true } }`;
  const problems = problemsOf(sources({ t: invalid }));
  assert.equal(problems.length, 3, problems.join('\n'));
  assert.equal(problems.filter((text) => text.endsWith('is not a valid regular expression')).length, 2);
  assert.equal(problems.filter((text) => text.endsWith('the header name is not valid')).length, 1);
});

test('the zone of an expiry is an offset or an IANA name', () => {
  const of = (zone: string) =>
    problemsOf(
      sources({ t: `type: http, url: "https://a.example/t", token_at: body, expires_at: { zone: ${zone} }` }),
    );
  for (const zone of ['Asia/Shangai', '+25:00', '8'])
    assert.deepEqual(of(zone), [
      '5 tokens.t.expires_at.zone: must be a time zone such as +08:00 or Asia/Shanghai',
    ]);
});

test('an unknown type is named with the nearest one, and a missing one with all', () => {
  assert.deepEqual(problemsOf(sources({ a: 'type: oauth', b: 'value: x' })), [
    '6 tokens.a.type: must be one of static, env, file, exec, oauth2, http, jwt, function; did you mean "oauth2"?',
    '7 tokens.b.type: must be one of static, env, file, exec, oauth2, http, jwt, function',
  ]);
});

test('a key of another type of source is unknown', () => {
  assert.deepEqual(problemsOf(sources({ a: `${STATIC}, url: x` })), ['5 tokens.a.url: unknown key']);
});

test('oauth2 has what its grant and its authentication need', () => {
  const of = (rest: string) =>
    problemsOf(sources({ t: `type: oauth2, token_url: "${URL}", ${rest}` })).map((problem) =>
      problem.replace(/^\d+ tokens\.t: /, ''),
    );
  assert.deepEqual(of('grant: password, client_id: a, client_secret: b'), [
    'grant: password needs username',
    'grant: password needs password',
  ]);
  assert.deepEqual(of('client_id: a'), ['auth: basic needs client_secret']);
  assert.deepEqual(of('auth: private_key_jwt, client_id: a'), [
    'auth: private_key_jwt needs client_assertion or client_assertion_token',
  ]);
  assert.deepEqual(of('auth: mtls, client_id: a'), ['auth: mtls needs tls']);
  assert.deepEqual(of('auth: none, grant: jwt_bearer'), [
    'grant: jwt_bearer needs assertion or assertion_token',
  ]);
  load(
    sources({ t: `type: oauth2, token_url: "${URL}", auth: none, grant: refresh_token, refresh_token: abc` }),
  );
});

test('http has at most one body, and a GET has none', () => {
  assert.deepEqual(
    problemsOf(
      sources({
        a: `type: http, url: "${URL}", body_text: a, body_form: { b: c }`,
        b: `type: http, url: "${URL}", method: GET, body_text: a`,
      }),
    ),
    [
      '6 tokens.a.body_text: body_form and body_text are both given; remove one',
      '7 tokens.b.body_text: a GET has no body; use query, or another method',
    ],
  );
  const source = sourceOf(`type: http, url: "${URL}"`);
  assert.ok(source.type === 'http' && source.method === 'GET');
});

test('sources can be made from each other, but not in a cycle', () => {
  load(sources({ a: STATIC, b: `type: http, url: "${URL}", token: a` }));
  assert.deepEqual(
    problemsOf(
      sources({
        a: `type: http, url: "${URL}", token: b`,
        b: `type: http, url: "${URL}", token: a`,
        c: `type: http, url: "${URL}", token: d`,
      }),
    ),
    [
      '7 tokens.a.token: circular reference: the sources wait for each other',
      '8 tokens.b.token: circular reference: the sources wait for each other',
      '9 tokens.c.token: no source of this name in tokens',
    ],
  );
});

test('an unused source is a warning, one that another source uses is not', () => {
  const text = `${sources({ a: `type: http, url: "${URL}", token: b` })}  b: { ${STATIC} }\n  c: { ${STATIC} }\n`;
  assert.deepEqual(warningsOf(text), ['7 tokens.c: is not used by any upstream']);
});

test('no source is called none', () => {
  assert.match(
    problemsOf(sources({ none: STATIC })).join(),
    /tokens\.none: this name means "no credentials"/,
  );
});

test('an issuer on plain http is a warning, unless it is this machine or a metadata service', () => {
  const warned = (url: string): boolean =>
    warningsOf(sources({ t: `type: http, url: "${url}"` })).some((one) =>
      /t\.url: credentials are sent/.test(one),
    );
  assert.ok(warned('http://auth.corp.example/token'));
  assert.ok(warned('http://10.1.2.3/token'));
  for (const url of [
    'https://auth.corp.example/token',
    'http://127.0.0.1:9/t',
    'http://[::1]:9/t',
    'http://localhost/t',
    'http://169.254.169.254/metadata',
    'http://metadata.google.internal/x',
  ]) {
    assert.ok(!warned(url), url);
  }
  assert.match(
    warningsOf(
      sources({
        t: 'type: oauth2, token_url: "http://sso.corp.example/t", client_id: a, client_secret: bcdefg',
      }),
    ).join(),
    /t\.token_url: credentials are sent unencrypted/,
  );
});

test('share: shared needs the database to share through; share: file needs nothing', () => {
  assert.match(problemsOf(sources({ t: `${STATIC}, share: shared` })).join(), /t\.share: needs shared/);
  assert.equal(sourceOf(`${STATIC}, share: file`).share, 'file');
  const key = Buffer.alloc(32).toString('base64');
  const shared = `shared: "postgres://db.example/x"\nshared_key: "${key}"\n`;
  assert.equal(load(shared + sources({ t: `${STATIC}, share: shared` })).config.tokens.t?.share, 'shared');
  assert.deepEqual(warningsOf(shared + sources({ t: `${STATIC}, share: shared` })), []);
  assert.match(warningsOf(shared + sources({ t: STATIC })).join(), /shared: is not used by any source/);
});

test('a parameter of oauth2 may be a list, and a response of http may mean wrong credentials', () => {
  const oauth2 = sourceOf(
    'type: oauth2, token_url: "https://sso.example/t", client_id: a, client_secret: bcdefg, params: { resource: [a, b], audience: c }',
  );
  assert.deepEqual('params' in oauth2 ? oauth2.params : null, { resource: ['a', 'b'], audience: 'c' });
  const http = sourceOf(`type: http, url: "${URL}", denied: { json: { /code: [401, 403] } }`);
  assert.deepEqual('denied' in http ? http.denied : null, { status: null, json: { '/code': [401, 403] } });
  assert.match(
    problemsOf(sources({ t: `type: http, url: "${URL}", denied: {}` })).join(),
    /t\.denied: needs status or json/,
  );
});

test('files with signing keys of sources are watched; keys within the configuration are not', () => {
  const url = 'token_url: "https://sso.example/t", client_id: a, auth: private_key_jwt';
  const { files, directory } = load(
    sources({
      by_file: `type: oauth2, ${url}, client_assertion: { key: llm-app.pem }`,
      by_text: `type: oauth2, ${url}, client_assertion: { key: "-----BEGIN PRIVATE KEY-----\\nabc" }`,
      signed: 'type: jwt, alg: ES256, key: sub/sign.pem',
      shared: 'type: jwt, alg: HS256, key: a-secret-text',
    }),
  );
  const named = files.filter((file) => !file.endsWith('.yaml')).map((file) => file.replace(directory, ''));
  assert.deepEqual(named.sort(), ['/llm-app.pem', '/sub/sign.pem']);
});

test('tokens that are used once need a source', () => {
  const alone = problemsOf(sources({ t: 'type: http, url: "https://a.example/", token_use: once' }));
  assert.match(alone.join(), /tokens\.t\.token_use: needs token/);
  const chained = 'type: http, url: "https://a.example/{{token}}", token: s, token_use: once';
  assert.ok(load(sources({ s: STATIC, t: chained })).config.tokens.t);
});
