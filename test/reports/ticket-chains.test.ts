import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { ask, checkGood } from '../behaviour/fault-rig.ts';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { LoopbackServer } from '../helpers/loopback-server.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

const PASSWORD = 'password-of-the-service-account';

/**
 * A CAS server with its REST protocol, and an application that lets in whoever brings a service ticket of it. Both
 * invalidate: a service ticket works once and for its service only, and what was revoked is gone.
 */
class Cas extends LoopbackServer {
  readonly tgts = new Set<string>();
  /** Service ticket to its service. */
  readonly tickets = new Map<string, string>();
  readonly sessions = new Map<string, string>();
  readonly csrf = new Map<string, string>();
  logins = 0;
  ticketsIssued = 0;
  validations = 0;
  refusals = 0;
  /** The next service tickets expire before they are used. */
  expiring = 0;
  /** The application refuses every ticket. */
  isRefusing = false;
  /** How the application refuses a ticket. */
  refusal: (response: ServerResponse) => void = (response) => {
    response.writeHead(302, { location: `${this.origin}/cas/login?service=x` }).end();
  };
  /** The status of an outage of the application; 0: none. */
  outage = 0;
  sessionSeconds = 300;
  #serial = 0;

  private constructor() {
    super(createServer());
    this.server.on('request', (request, response) => void this.#serve(request, response));
  }

  static start(): Promise<Cas> {
    return new Cas().listening();
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** TGT → ticket → session, as docs/tokens.md has it. */
  get sources() {
    return {
      tgt: {
        type: 'http',
        url: `${this.origin}/cas/v1/tickets`,
        body_form: { username: 'svc-llm', password: PASSWORD },
        success: { status: 201 },
        token_at: 'header:Location regex:[^/]+$',
        default_ttl: '2h',
      },
      ticket: {
        type: 'http',
        url: `${this.origin}/cas/v1/tickets/{{token}}`,
        token: 'tgt',
        body_form: { service: `${this.origin}/app` },
        token_at: 'body',
      },
      session: {
        type: 'http',
        url: `${this.origin}/app/login?ticket={{urlencode(token)}}`,
        token: 'ticket',
        token_use: 'once',
        success: { status: [200, 302] },
        token_at: 'cookie:SESSION',
        place: { cookie: 'SESSION' },
      },
    };
  }

  isLive(session: string): boolean {
    return this.sessions.has(session);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.origin);
    const form = new URLSearchParams(await text(request));
    const [, tgt] = /^\/cas\/v1\/tickets\/([^/]+)$/.exec(url.pathname) ?? [];
    if (url.pathname === '/cas/v1/tickets') this.#login(form, response);
    else if (tgt !== undefined) this.#issue(decodeURIComponent(tgt), form, response);
    else if (url.pathname === '/app/login') this.#validate(url.searchParams.get('ticket') ?? '', response);
    else response.writeHead(404).end('no such path');
  }

  #login(form: URLSearchParams, response: ServerResponse): void {
    this.logins += 1;
    if (form.get('password') !== PASSWORD) {
      response.writeHead(401).end('authentication failed');
      return;
    }
    const tgt = `TGT-${++this.#serial}-q7Xw/cas.example`;
    this.tgts.add(tgt);
    const location = `${this.origin}/cas/v1/tickets/${encodeURIComponent(tgt)}`;
    response.writeHead(201, { location, 'content-type': 'text/html' });
    response.end(
      `<html><form action="${location}" method="POST">Service:<input name="service"></form></html>`,
    );
  }

  #issue(tgt: string, form: URLSearchParams, response: ServerResponse): void {
    if (!this.tgts.has(tgt)) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end(`Ticket '${tgt}' could not be found`);
      return;
    }
    this.ticketsIssued += 1;
    const ticket = `ST-${++this.#serial}-8Kd+Lq=`;
    if (this.expiring > 0) this.expiring -= 1;
    else this.tickets.set(ticket, form.get('service') ?? '');
    response.writeHead(200, { 'content-type': 'text/plain;charset=UTF-8' }).end(ticket);
  }

  #validate(ticket: string, response: ServerResponse): void {
    if (this.outage !== 0) {
      response.writeHead(this.outage).end('down');
      return;
    }
    this.validations += 1;
    const service = this.tickets.get(ticket);
    this.tickets.delete(ticket);
    if (this.isRefusing || service !== `${this.origin}/app`) {
      this.refusals += 1;
      this.refusal(response);
      return;
    }
    const session = `session-${++this.#serial}`;
    this.sessions.set(session, ticket);
    const cookie = `SESSION=${session}; Path=/; Max-Age=${this.sessionSeconds}; HttpOnly`;
    response.writeHead(302, { location: '/app/', 'set-cookie': cookie }).end();
  }
}

interface Scene {
  readonly cas: Cas;
  readonly gateway: Gateway;
  readonly model: StandInModel;
}

function sessionOf(cookie: string | undefined): string {
  return /(?:^|; )SESSION=([^;]+)/.exec(cookie ?? '')?.[1] ?? '';
}

async function withCas(use: (scene: Scene) => Promise<void>, prepare?: (cas: Cas) => void): Promise<void> {
  await using cas = await Cas.start();
  prepare?.(cas);
  await using model = await StandInModel.start({
    reply: 'all is well',
    intercept: ({ headers }, response) => {
      if (cas.isLive(sessionOf(headers.cookie))) return false;
      response.writeHead(401).end('{"error":{"message":"no session"}}');
      return true;
    },
  });
  await using gateway = await Gateway.start({
    tokens: cas.sources,
    upstreams: [{ name: 'app', endpoint: model.url, token: 'session' }],
  });
  await use({ cas, gateway, model });
}

async function askWell(gateway: Gateway): Promise<void> {
  const { response, text: body } = await ask(gateway, 'chat', 'm');
  assert.equal(response.status, 200, body);
  checkGood('chat', body);
}

test('CAS: login, service ticket and session are one chain, and only what is kept is listed', async () => {
  await withCas(async ({ cas, gateway }) => {
    await askWell(gateway);
    assert.deepEqual([cas.logins, cas.ticketsIssued, cas.validations, cas.refusals], [1, 1, 1, 0]);
    const ready = (await (await fetch(`${gateway.url}/readyz`)).json()) as {
      degraded: string[];
      tokens: { name: string }[];
    };
    assert.deepEqual(ready.degraded, []);
    assert.deepEqual(ready.tokens.map(({ name }) => name).sort(), ['session', 'tgt']);
  });
});

test('CAS: a session that ends early costs one ticket and no login', async () => {
  await withCas(async ({ cas, gateway }) => {
    await askWell(gateway);
    cas.sessions.clear();
    await askWell(gateway);
    assert.deepEqual([cas.ticketsIssued, cas.refusals], [2, 0]);
  });
});

test('CAS: renewals in the background take one ticket each, and no ticket is used twice', async () => {
  await withCas(
    async ({ cas, gateway }) => {
      await until(() => cas.validations >= 4, 'four sessions');
      await askWell(gateway);
      assert.deepEqual([cas.logins, cas.refusals], [1, 0]);
      assert.equal(cas.ticketsIssued - cas.validations <= 1, true);
    },
    (cas) => {
      cas.sessionSeconds = 1;
    },
  );
});

test('CAS: a login that has ended is made again at once, within the request', async () => {
  await withCas(async ({ cas, gateway }) => {
    await askWell(gateway);
    cas.tgts.clear();
    cas.sessions.clear();
    await askWell(gateway);
    assert.equal(cas.refusals, 0);
    assert.equal(cas.ticketsIssued, 2);
    assert.equal(cas.logins, 2);
  });
});

for (const [what, refusal] of [
  ['a redirect to the login', undefined],
  ['a 401', (response: ServerResponse) => response.writeHead(401).end('{"error":"INVALID_TICKET"}')],
  [
    'a 200 with a page',
    (response: ServerResponse) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>Log in</html>'),
  ],
  [
    'a 200 with an error',
    (response: ServerResponse) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"code":"INVALID_TICKET"}'),
  ],
] as const) {
  test(`CAS: a ticket that expired before its use, refused with ${what}, is obtained anew`, async () => {
    await withCas(
      async ({ cas, gateway }) => {
        await askWell(gateway);
        assert.deepEqual([cas.logins, cas.ticketsIssued, cas.refusals], [1, 2, 1]);
      },
      (cas) => {
        cas.expiring = 1;
        if (refusal !== undefined) cas.refusal = refusal;
      },
    );
  });
}

test('CAS: an application that refuses every ticket costs few logins, and requests fail at once with the reason', async () => {
  await withCas(
    async ({ cas, gateway }) => {
      await until(() => gateway.tokenEvents.some(({ kind }) => kind === 'renewal_failed'), 'a failure');
      const { response, text: body } = await ask(gateway, 'chat', 'm');
      assert.equal(response.status, 503, body);
      assert.equal(errorIn(body).code, 'upstream_auth_unavailable');
      assert.match(body, /credentials/);
      await until(() => gateway.log.includes('refused with status 401'), 'the reason in the log');
      assert.ok(cas.logins <= 2, `${cas.logins} logins`);
      assert.ok(cas.ticketsIssued <= 4, `${cas.ticketsIssued} tickets`);
      cas.isRefusing = false;
    },
    (cas) => {
      cas.isRefusing = true;
      cas.refusal = (response) => response.writeHead(401).end('{"error":"INVALID_SERVICE"}');
    },
  );
});

test('CAS: an application that is down is no refusal: the login is kept', async () => {
  await withCas(
    async ({ cas, gateway }) => {
      await until(
        () => gateway.tokenEvents.filter(({ kind }) => kind === 'renewal_failed').length >= 2,
        'failures',
      );
      cas.outage = 0;
      await askWell(gateway);
      assert.equal(cas.logins, 1);
      assert.equal(cas.refusals, 0);
    },
    (cas) => {
      cas.outage = 503;
    },
  );
});

test('CAS: no ticket, login or session is in the log, with failures in it', async () => {
  await withCas(async ({ cas, gateway }) => {
    await askWell(gateway);
    cas.tgts.clear();
    cas.sessions.clear();
    await askWell(gateway);
    assert.doesNotMatch(gateway.log, /TGT-\d|ST-\d|session-\d|password-of/);
  });
});

/** A login of two steps: a CSRF token and the cookie that belongs to it, then a session for the pair, which works once. */
class CsrfLogin extends LoopbackServer {
  readonly pairs = new Map<string, string>();
  readonly sessions = new Map<string, string>();
  pairsIssued = 0;
  refusals = 0;
  #serial = 0;

  private constructor() {
    super(createServer());
    this.server.on('request', (request, response) => void this.#serve(request, response));
  }

  static start(): Promise<CsrfLogin> {
    return new CsrfLogin().listening();
  }

  get sources() {
    const origin = `http://127.0.0.1:${this.port}`;
    return {
      form: {
        type: 'http',
        url: `${origin}/login`,
        token_at: 'header:X-CSRF-Token',
        extra: { sid: 'cookie:SID', action: 'regex:action="([^"]+)"' },
      },
      session: {
        type: 'http',
        url: `${origin}/{{action}}`,
        token: 'form',
        token_use: 'once',
        headers: { Cookie: 'SID={{sid}}', 'X-CSRF-Token': '{{token}}' },
        body_json: { user: 'svc', sid: '{{sid}}' },
        token_at: '/data/session',
        extra: { csrf: '/data/csrf', node: 'header:X-Node' },
        place: [
          { cookie: 'SESSION' },
          { header: 'X-CSRF-Token', extra: 'csrf' },
          { header: 'X-Node', extra: 'node' },
        ],
      },
    };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    if (request.method === 'GET') {
      const serial = ++this.#serial;
      this.pairsIssued += 1;
      this.pairs.set(`csrf-${serial}`, `sid-value-${serial}`);
      response.setHeader('set-cookie', ['lang=en', `SID=sid-value-${serial}; HttpOnly`]);
      response.setHeader('x-csrf-token', `csrf-${serial}`);
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end(`<form action="auth/${serial}"></form>`);
      return;
    }
    const csrf = String(request.headers['x-csrf-token']);
    const sid = this.pairs.get(csrf);
    this.pairs.delete(csrf);
    const isPath = request.url === `/auth/${csrf.slice('csrf-'.length)}`;
    if (sid === undefined || request.headers.cookie !== `SID=${sid}` || !isPath) {
      this.refusals += 1;
      response.writeHead(403, { 'content-type': 'application/json' }).end('{"message":"CSRF mismatch"}');
      return;
    }
    assert.equal((JSON.parse(body) as { sid: string }).sid, sid);
    const session = `session-value-${++this.#serial}`;
    this.sessions.set(session, `pair-of-${session}`);
    response.writeHead(200, { 'content-type': 'application/json', 'x-node': 'n7' });
    response.end(JSON.stringify({ data: { session, csrf: `pair-of-${session}` } }));
  }
}

test('a CSRF token and its cookie go to the next step by name, and what that gives to the upstream in several places', async () => {
  await using login = await CsrfLogin.start();
  await using model = await StandInModel.start({
    reply: 'all is well',
    intercept: ({ headers }, response) => {
      const csrf = login.sessions.get(sessionOf(headers.cookie));
      if (csrf !== undefined && headers['x-csrf-token'] === csrf && headers['x-node'] === 'n7') return false;
      response.writeHead(401).end('{}');
      return true;
    },
  });
  await using gateway = await Gateway.start({
    tokens: login.sources,
    upstreams: [{ name: 'app', endpoint: model.url, token: 'session' }],
  });
  for (let round = 1; round <= 3; round++) {
    await askWell(gateway);
    login.sessions.clear();
    assert.deepEqual([login.pairsIssued, login.refusals], [round, 0]);
  }
  login.pairs.clear();
  assert.doesNotMatch(gateway.log, /csrf-\d|sid-value|session-value|pair-of/);
});

/** Two OAuth2 servers: the second exchanges tokens of the first while these are valid. */
test('token exchange: a subject token that the second issuer no longer knows is renewed at once', async () => {
  const subjects = new Set<string>();
  const tokens = new Set<string>();
  let serial = 0;
  let logins = 0;
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const form = new URLSearchParams(body);
      response.setHeader('content-type', 'application/json');
      if (request.url === '/login') {
        logins += 1;
        const value = `subject-${++serial}`;
        subjects.add(value);
        response.end(JSON.stringify({ access_token: value, expires_in: 3600 }));
      } else if (subjects.has(form.get('subject_token') ?? '')) {
        const value = `exchanged-${++serial}`;
        tokens.add(value);
        response.end(JSON.stringify({ access_token: value, expires_in: 2 }));
      } else {
        response.statusCode = 400;
        response.end('{"error":"invalid_grant","error_description":"subject token is not active"}');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await using model = await StandInModel.start({
    reply: 'all is well',
    isLive: (token) => tokens.has(token),
  });
  const oauth = { type: 'oauth2', client_id: 'llm', client_secret: 'secret-of-the-client' };
  await using gateway = await Gateway.start({
    tokens: {
      sso: { ...oauth, token_url: `http://127.0.0.1:${port}/login` },
      llm: {
        ...oauth,
        token_url: `http://127.0.0.1:${port}/exchange`,
        grant: 'token_exchange',
        subject_token: 'sso',
      },
    },
    upstreams: [{ name: 'app', endpoint: model.url, token: 'llm' }],
  });
  await askWell(gateway);
  assert.equal(logins, 1);
  subjects.clear();
  await until(() => logins === 2, 'a second login');
  await askWell(gateway);
  assert.deepEqual(
    gateway.tokenEvents.filter(({ kind }) => kind === 'renewal_failed'),
    [],
  );
  assert.equal(logins, 2);
  server.closeAllConnections();
  server.close();
});
