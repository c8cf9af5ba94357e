import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { ask, checkGood, KINDS } from '../behaviour/fault-rig.ts';
import { type TokenScene, type TokenSceneOptions, withTokens } from '../behaviour/token-scene.ts';
import { errorIn } from '../helpers/gateway.ts';
import type { ScriptedIssuer } from '../helpers/scripted-issuer.ts';

/** How a session that has ended looks at one kind of server, and the `reject` that recognises it. */
interface EndedSession {
  readonly what: string;
  readonly reject: object;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

const LOGIN_PAGE =
  '<!DOCTYPE html>\n<html><head><title>Corp Sign-In</title></head><body><form action="/login"></form></body></html>';

const HTML = { 'content-type': 'text/html; charset=utf-8' };
const JSON_TYPE = { 'content-type': 'application/json' };

/** 登录 */
const GBK_LOGIN = Buffer.from([0xb5, 0xc7, 0xc2, 0xbc]);

const ENDED: readonly EndedSession[] = [
  {
    what: 'a 200 with a login page (oauth2-proxy, Keycloak gatekeeper)',
    reject: { html: true },
    status: 200,
    headers: HTML,
    body: LOGIN_PAGE,
  },
  {
    what: 'a 200 with a login page among other pages, without a content-type',
    reject: { html: 'sign-?in' },
    status: 200,
    headers: {},
    body: `\uFEFF<?xml version="1.0"?>\n<!-- ${'x'.repeat(300)} -->${LOGIN_PAGE}`,
  },
  {
    what: 'a redirect to a login address (oauth2-proxy)',
    reject: { redirect: '/oauth2/(start|sign_in)' },
    status: 302,
    headers: { ...HTML, location: 'https://sso.corp.example/oauth2/start?rd=%2Fv1' },
    body: '<a href="https://sso.corp.example/oauth2/start">Found</a>.',
  },
  {
    what: 'any redirect',
    reject: { redirect: true },
    status: 307,
    headers: { location: '/login' },
    body: '',
  },
  {
    what: 'a 403 with an error in words',
    reject: { text: 'session (has )?expired' },
    status: 403,
    headers: JSON_TYPE,
    body: '{"error":{"message":"Your Session has expired, please log in again","code":"forbidden"}}',
  },
  {
    what: 'a 500 with the text of a library',
    reject: { text: ['JWT expired at', 'token is expired'] },
    status: 500,
    headers: { 'content-type': 'text/plain' },
    body: 'io.jsonwebtoken.ExpiredJwtException: JWT expired at 2026-01-01T00:00:00Z. Current time: 2026-01-01T00:05:00Z',
  },
  {
    what: 'a 200 with an error in words',
    reject: { text: '登录.*过期' },
    status: 200,
    headers: JSON_TYPE,
    body: '{"success":false,"data":null,"message":"登录状态已过期，请重新登录"}',
  },
  {
    what: 'a 401 code of its own that is no 401, in a page of any status',
    reject: { text: 'logon\\.cgi' },
    status: 503,
    headers: HTML,
    body: `<html><body>${' '.repeat(20_000)}<form action="logon.cgi"></form></body></html>`,
  },
  {
    what: 'a header with a value',
    reject: { headers: { 'X-Session-State': 'expired|invalid' } },
    status: 403,
    headers: { 'x-session-state': 'EXPIRED', ...JSON_TYPE },
    body: '{}',
  },
  {
    what: 'the presence of a header, also on a 200',
    reject: { headers: { 'x-reauthenticate': true } },
    status: 200,
    headers: { 'x-reauthenticate': '1', ...JSON_TYPE },
    body: '{"choices":[{"index":0,"message":{"role":"assistant","content":"please log in"},"finish_reason":"stop"}]}',
  },
  { what: 'a 407', reject: { statuses: [401, 407] }, status: 407, headers: JSON_TYPE, body: '{}' },
  {
    what: 'a page in GBK',
    reject: { html: '登录' },
    status: 200,
    headers: { 'content-type': 'text/html; charset=gbk' },
    body: Buffer.concat([Buffer.from('<html><title>'), GBK_LOGIN, Buffer.from('</title></html>')]),
  },
  {
    what: 'a text in GBK',
    reject: { text: '登录' },
    status: 500,
    headers: { 'content-type': 'text/plain; charset=GBK' },
    body: GBK_LOGIN,
  },
  {
    what: 'a page that is a script only',
    reject: { html: true },
    status: 200,
    headers: HTML,
    body: '<script>window.location = "/login"</script>',
  },
  {
    what: 'an event of a stream',
    reject: { text: 'ticket .* invalid' },
    status: 200,
    headers: { 'content-type': 'text/event-stream' },
    body: ': hello\n\nevent: error\ndata: {"code":4003,"msg":"ticket T-1 invalid"}\n\n',
  },
];

function send(response: ServerResponse, { status, headers, body }: EndedSession): void {
  response.writeHead(status, { ...headers });
  response.end(body);
}

/** An upstream that shows an ended session to every token that `isGood` does not take. */
function ending(
  session: EndedSession,
  isGood: (token: string, issuer: ScriptedIssuer) => boolean = (token, issuer) => issuer.isLive(token),
): TokenSceneOptions {
  return {
    // A machine that is busy with other tests takes its time.
    source: { reject: session.reject, refresh: { max_wait: '60s' } },
    model: (issuer) => ({
      isLive: () => true,
      intercept: (request, response) => {
        if (isGood(request.token, issuer)) return false;
        send(response, session);
        return true;
      },
    }),
  };
}

const OTHER_PATHS = ['/v1/batches', '/v1/files/file-1', '/v1/moderations', '/v1/responses'] as const;

/** What the stand-in has nothing for is a 404 of its API, which proves that the token was accepted. */
async function askPath({ gateway }: TokenScene, path: (typeof OTHER_PATHS)[number]): Promise<Response> {
  const isRead = path === '/v1/batches' || path.startsWith('/v1/files');
  return isRead
    ? fetch(`${gateway.url}${path}`)
    : gateway.post(path, { model: 'm', input: 'hello', stream: path === '/v1/responses' });
}

/** The limits of forced renewals keep each scene waiting for a second: many run at one time. */
test('ended sessions', { concurrency: 3 }, async (context) => {
  await Promise.all(
    ENDED.flatMap((session) => [
      context.test(
        `an ended session as ${session.what}: the token is renewed, and the client sees nothing of it`,
        async () => {
          await withTokens(ending(session), async ({ gateway, issuer }) => {
            for (const kind of KINDS) {
              const { text: first } = await ask(gateway, kind, 'm');
              checkGood(kind, first);
              issuer.revokeAll();
              const calls = issuer.callCount;
              const { response, text } = await ask(gateway, kind, 'm');
              assert.equal(response.status, 200, text);
              checkGood(kind, text);
              assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
              assert.equal(issuer.callCount, calls + 1, 'one renewal');
              const row = await gateway.rowOf(response.headers.get('x-request-id'));
              assert.equal(row.attempts[0]?.token_renewed, true);
            }
          });
        },
      ),
      context.test(`an ended session as ${session.what}, on paths that are passed through`, async () => {
        await withTokens(ending(session), async (scene) => {
          const { issuer } = scene;
          for (const path of OTHER_PATHS) {
            await (await askPath(scene, path)).text();
            issuer.revokeAll();
            const calls = issuer.callCount;
            const before = scene.model.received.length;
            const response = await askPath(scene, path);
            const text = await response.text();
            assert.equal(issuer.callCount, calls + 1, `${path}: ${response.status} ${text}`);
            assert.equal(scene.model.received.length, before + 2, `${path}: sent twice`);
            assert.notEqual(text, session.body);
          }
        });
      }),
      context.test(
        `a session that ends at once again as ${session.what} is the gateway's error, after one replay`,
        async () => {
          await withTokens(
            ending(session, () => false),
            async ({ gateway, model }) => {
              for (const kind of KINDS) {
                const before = model.received.length;
                const { response, text } = await ask(gateway, kind, 'm');
                assert.equal(response.status, 502, text);
                assert.equal(errorIn(text).code, 'upstream_auth_error', text);
                assert.ok(model.received.length - before <= 2, 'at most one replay');
                const row = await gateway.rowOf(response.headers.get('x-request-id'));
                assert.deepEqual(
                  row.attempts.map(({ outcome }) => outcome),
                  ['auth_rejected'],
                );
              }
            },
          );
        },
      ),
    ]),
  );
});

test('what a model says is no sign of an ended session, whole or as a stream', async () => {
  const options: TokenSceneOptions = {
    source: { reject: { text: 'all is well', html: true } },
  };
  await withTokens(options, async ({ gateway, issuer, model }) => {
    for (const kind of KINDS) {
      const { response, text } = await ask(gateway, kind, 'm');
      assert.equal(response.status, 200, text);
      checkGood(kind, text);
    }
    assert.equal(issuer.callCount, 1);
    assert.equal(model.received.length, KINDS.length);
  });
});

test('events that acknowledge a Response repeat its instructions, which are no sign of an ended session', async () => {
  const events = [
    {
      type: 'response.created',
      response: { id: 'r', status: 'in_progress', instructions: 'session expired' },
    },
    { type: 'response.output_text.delta', delta: 'session expired' },
    { type: 'response.completed', response: { id: 'r', status: 'completed', output: [] } },
  ];
  const options: TokenSceneOptions = {
    source: { reject: { text: 'session expired' } },
    model: () => ({
      intercept: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.end(events.map((one) => `event: ${one.type}\ndata: ${JSON.stringify(one)}\n\n`).join(''));
        return true;
      },
    }),
  };
  await withTokens(options, async ({ gateway, issuer }) => {
    const response = await gateway.post('/v1/responses', { model: 'm', input: 'x', stream: true });
    assert.match(await response.text(), /response\.completed/);
    assert.equal(issuer.callCount, 1);
  });
});

test('an HTML file that is downloaded is no login page when `html` has a pattern', async () => {
  const page = '<!doctype html><title>Report</title>';
  const options: TokenSceneOptions = {
    source: { reject: { html: 'sign in' } },
    model: () => ({
      intercept: ({ path }, response) => {
        if (!path.endsWith('/content')) return false;
        response.writeHead(200, HTML);
        response.end(page);
        return true;
      },
    }),
  };
  await withTokens(options, async ({ gateway, issuer }) => {
    const response = await fetch(`${gateway.url}/v1/files/file-1/content`);
    assert.equal(await response.text(), page);
    assert.equal(issuer.callCount, 1);
  });
});

for (const { what, session, says } of [
  {
    what: 'a 403',
    session: {
      status: 403,
      headers: JSON_TYPE,
      body: '{"error":{"message":"Your session is over."}}',
    },
    says: [/Your session is over\./, /tokens\.corp/, /reject: \{ statuses: \[401, 403\] \}/],
  },
  {
    what: 'a 407',
    session: { status: 407, headers: JSON_TYPE, body: '{"message":"log in first"}' },
    says: [/log in first/, /reject: \{ statuses: \[401, 407\] \}/],
  },
  {
    what: 'a redirect',
    session: { status: 302, headers: { location: 'https://sso.corp.example/login' }, body: '' },
    says: [/tokens\.corp/, /reject: \{ redirect: true \}/],
  },
  {
    what: 'a 200 with a page',
    session: { status: 200, headers: HTML, body: LOGIN_PAGE },
    says: [/Corp Sign-In/, /tokens\.corp/, /reject: \{ html: true \}/],
  },
] as const) {
  test(`by default ${what} is no rejected token: the error tells the upstream's words and the line that would make it one`, async () => {
    const options = ending({ what, reject: {}, ...session }, () => false);
    await withTokens(options, async ({ gateway, issuer }) => {
      for (const kind of KINDS) {
        const { response, text } = await ask(gateway, kind, 'm');
        assert.equal(response.status, 502, text);
        const { message } = errorIn(text);
        for (const words of says) assert.match(message, words);
        assert.doesNotMatch(message, /sso\.corp\.example|127\.0\.0\.1/);
      }
      assert.equal(issuer.callCount, 1, 'nothing was renewed');
    });
  });
}
