import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { AdminSessions } from '../../src/admin/access/admin-sessions.ts';
import type { AdminSession } from '../../src/admin/api-types.ts';
import { Secret } from '../../src/lib/secret.ts';
import { freePort } from '../helpers/free-port.ts';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { RawClient } from '../helpers/raw-client.ts';
import { ApiDescription } from '../openapi/api-description.ts';
import { AdminClient, cookieOf } from './admin-client.ts';

const KEY = 'admin-key-of-the-tests';
const upstreams = [{ name: 'chat', endpoint: 'http://127.0.0.1:9/v1', sk: 'key-of-chat' }];

const statusOf = async (url: string, headers: Readonly<Record<string, string>> = {}): Promise<number> => {
  const response = await fetch(url, { headers });
  await response.body?.cancel();
  return response.status;
};

/** A GET with exactly these lines. */
async function rawGet(port: number, lines: readonly string[], version = '1.1'): Promise<number> {
  const client = await RawClient.connect(port);
  client.send(`GET /admin/status HTTP/${version}\r\n${lines.join('\r\n')}\r\n\r\n`);
  const { status } = await client.answer();
  client.socket.destroy();
  return status;
}

test('with a key nothing is served without it, and everything with it', async () => {
  await using gateway = await Gateway.start({ admin: { key: KEY }, upstreams });
  const status = `${gateway.url}/admin/status`;
  assert.equal(await statusOf(status), 401);
  assert.equal(await statusOf(status, { authorization: 'Bearer wrong-admin-key' }), 401);
  assert.equal(await statusOf(status, { 'x-api-key': KEY }), 401, 'it is no client key');
  assert.equal(await statusOf(status, { authorization: `Bearer ${KEY}` }), 200);
  assert.equal(await statusOf(`${gateway.url}/admin/unknown`), 401, 'also what does not exist');
});

test('another method than openapi.yaml has for a path is a 405 that names those', async () => {
  await using gateway = await Gateway.start({ admin: { key: KEY }, upstreams });
  const { paths } = new ApiDescription().document;
  const described = Object.entries(paths).filter(([path]) => path.startsWith('/admin/'));
  assert.ok(described.length > 20);
  for (const [template, operations] of [
    ...described,
    ['/ui/', { get: {} }],
    ['/ui/tokens', { get: {} }],
  ] as const) {
    const path = template.replace('{name}', 'chat').replace('{id}', 'req_1');
    const methods = Object.keys(operations).map((method) => method.toUpperCase());
    for (const method of ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].filter(
      // The router of the page answers OPTIONS itself.
      (one) => !methods.includes(one) && !(one === 'OPTIONS' && path.startsWith('/ui')),
    )) {
      const response = await fetch(gateway.url + path, {
        method,
        headers: { authorization: `Bearer ${KEY}` },
      });
      const text = await response.text();
      assert.equal(response.status, 405, `${method} ${path}: ${text}`);
      assert.equal(errorIn(text).code, 'method_not_allowed');
      const allowed = (response.headers.get('allow') ?? '').split(', ');
      assert.deepEqual(
        allowed.toSorted(),
        methods.flatMap((one) => (one === 'GET' ? ['GET', 'HEAD'] : [one])).toSorted(),
      );
    }
  }
  const unknown = { method: 'PUT', headers: { authorization: `Bearer ${KEY}` } };
  for (const path of ['/admin/unknown', '/admin/tokens/corp/renew', '/admin/playground/files', '/ui.html'])
    assert.equal((await fetch(gateway.url + path, unknown)).status, 404, path);
  assert.equal(await statusOf(`${gateway.url}/ui/assets/missing.js`), 404);
  const refused = await fetch(`${gateway.url}/admin/status`, { method: 'PUT' });
  assert.equal(refused.status, 401, 'first the key');
});

test('after ten wrong keys an address has to wait, also with the right one', async () => {
  await using gateway = await Gateway.start({ admin: { key: KEY }, upstreams });
  const status = `${gateway.url}/admin/status`;
  for (let wrong = 0; wrong < 10; wrong++)
    assert.equal(await statusOf(status, { authorization: `Bearer wrong-${wrong}` }), 401);
  const refused = await fetch(status, { headers: { authorization: `Bearer ${KEY}` } });
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  await refused.body?.cancel();
  const logIn = await gateway.post('/admin/session', { key: KEY });
  assert.equal(logIn.status, 429);
  await logIn.body?.cancel();
});

test('a session has a strict cookie and needs its CSRF token for actions', async () => {
  await using gateway = await Gateway.start({ admin: { key: KEY }, upstreams });
  const logIn = await gateway.post('/admin/session', { key: KEY });
  const attributes = (logIn.headers.get('set-cookie') ?? '').split('; ').slice(1);
  assert.ok(['Path=/', 'HttpOnly', 'SameSite=Strict'].every((one) => attributes.includes(one)));
  assert.ok(!attributes.includes('Secure'), 'a cookie of plain HTTP would be dropped with it');
  const { csrf_token: csrf } = (await logIn.json()) as AdminSession;
  assert.ok(csrf !== null);
  const cookie = cookieOf(logIn);
  const browser = new AdminClient(gateway.url, { cookie });
  assert.equal((await browser.get<AdminSession>('/admin/session')).csrf_token, csrf);
  const action = '/admin/upstreams/chat/pause';
  assert.equal(await browser.status('POST', action), 403);
  assert.equal(await browser.status('POST', action, { 'x-csrf-token': csrf.replace(/.$/, 'x') }), 403);
  assert.equal(await browser.status('DELETE', '/admin/session'), 403);
  assert.equal(await browser.status('POST', action, { 'x-csrf-token': csrf }), 200);
  assert.equal(await browser.status('DELETE', '/admin/session', { 'x-csrf-token': csrf }), 204);
  assert.equal(await browser.status('GET', '/admin/status'), 401, 'the old cookie is worth nothing');
  await gateway.end();
  assert.match(gateway.log, /admin: pause upstream chat/);
  assert.match(gateway.log, /"access":"session"/);
  assert.ok(!gateway.log.includes(KEY) && !gateway.log.includes(csrf));
});

test('a cookie that was set before the login is not the session afterwards, and ends with it', async () => {
  await using gateway = await Gateway.start({ admin: { key: KEY }, upstreams });
  const attacker = await gateway.post('/admin/session', { key: KEY });
  await attacker.body?.cancel();
  const planted = cookieOf(attacker);
  const logIn = await gateway.post('/admin/session', { key: KEY }, { headers: { cookie: planted } });
  await logIn.body?.cancel();
  assert.notEqual(cookieOf(logIn), planted);
  assert.equal(await statusOf(`${gateway.url}/admin/status`, { cookie: planted }), 401);
  assert.equal(await statusOf(`${gateway.url}/admin/status`, { cookie: cookieOf(logIn) }), 200);
  const forged = cookieOf(logIn).replace(/[0-9a-f]$/, (last) => (last === '0' ? '1' : '0'));
  assert.equal(await statusOf(`${gateway.url}/admin/status`, { cookie: forged }), 401);
  const chosen = `${planted.split('=')[0]}=fixed-by-the-attacker`;
  assert.equal(await statusOf(`${gateway.url}/admin/status`, { cookie: chosen }), 401);
});

test('a session is renewed by use, ends without it, and never lives longer than half a day', () => {
  let nowMs = 1_700_000_000_000;
  const clock = { wallMs: () => nowMs, monoMs: () => nowMs, schedule: () => ({ cancel: () => undefined }) };
  const sessions = new AdminSessions(new Secret(KEY), clock);
  const replica = new AdminSessions(new Secret(KEY), clock);
  const other = new AdminSessions(new Secret('another-admin-key'), clock);
  let { value } = sessions.open();
  const first = value;
  assert.ok(replica.find(value) !== null, 'replicas with the same key accept it');
  assert.equal(other.find(value), null);
  nowMs += 29 * 60_000;
  const found = sessions.find(value);
  assert.ok(found?.renewed != null);
  value = found.renewed;
  nowMs += 2 * 60_000;
  assert.equal(sessions.find(first), null, 'without use it ends after half an hour');
  assert.equal(sessions.find(value)?.id, found.id, 'the CSRF token stays the same');
  for (let minutes = 0; minutes < 11 * 60 + 20; minutes += 20) {
    nowMs += 20 * 60_000;
    value = sessions.find(value)?.renewed ?? value;
  }
  nowMs += 20 * 60_000;
  assert.equal(sessions.find(value), null);
});

test('pages of other origins are refused, with a key and without one', async () => {
  for (const admin of [{ key: KEY }, {}]) {
    await using gateway = await Gateway.start({ admin, upstreams });
    const headers = { authorization: `Bearer ${KEY}` };
    const good: Readonly<Record<string, string>> = 'key' in admin ? headers : {};
    const status = `${gateway.url}/admin/status`;
    assert.equal(await statusOf(status, { ...good, origin: gateway.url }), 200);
    for (const origin of ['https://evil.example', 'http://127.0.0.1:1', 'null', 'http://localhost'])
      assert.equal(await statusOf(status, { ...good, origin }), 403, origin);
    assert.equal(
      await statusOf(status, { ...good, 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'cors' }),
      403,
    );
    assert.equal(
      await statusOf(status, { ...good, 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' }),
      403,
    );
    const preflight = await fetch(status, { method: 'OPTIONS', headers: { origin: 'https://evil.example' } });
    await preflight.body?.cancel();
    assert.equal(preflight.headers.get('access-control-allow-origin'), null);
  }
});

test('without a key only this machine is served: no foreign Host, no proxy, no other address', async (t) => {
  const port = await freePort();
  await using gateway = await Gateway.start({
    address: `0.0.0.0:${port}`,
    authorization: 'client-key',
    upstreams,
  });
  const status = `http://127.0.0.1:${port}/admin/status`;
  assert.equal(await statusOf(status), 200);
  assert.equal(await rawGet(port, ['Host: localhost']), 200);
  assert.equal(await rawGet(port, ['Host: [::1]:80']), 200);
  for (const host of ['evil.example', '192.0.2.1', '127.0.0.1.evil.example', 'localhost.evil.example', ''])
    assert.equal(await rawGet(port, [`Host: ${host}`]), 404, host);
  assert.equal(await rawGet(port, [], '1.0'), 404, 'nginx forwards so by default');
  for (const header of [
    'X-Forwarded-For: 127.0.0.1',
    'Forwarded: for=127.0.0.1',
    'Via: 1.1 proxy',
    'X-Real-IP: ::1',
  ])
    assert.equal(await rawGet(port, ['Host: localhost', header]), 404, header);
  const other = Object.values(networkInterfaces())
    .flat()
    .find((one) => one !== undefined && !one.internal && one.family === 'IPv4');
  if (other === undefined) t.diagnostic('this machine has no other address');
  else {
    for (const path of ['/admin/status', '/admin/session', '/ui/', '/ui/icon.svg'])
      assert.equal(await statusOf(`http://${other.address}:${port}${path}`), 404, path);
    assert.equal(await statusOf(`http://${other.address}:${port}/livez`), 200);
  }
  await gateway.end();
});

test('admin.address moves the admin API and the page to a port of their own', async () => {
  const port = await freePort();
  await using gateway = await Gateway.start({
    admin: { key: KEY, address: `127.0.0.1:${port}` },
    upstreams,
  });
  const headers = { authorization: `Bearer ${KEY}` };
  assert.equal(await statusOf(`${gateway.url}/admin/status`, headers), 404);
  assert.equal(await statusOf(`${gateway.url}/ui/`), 404);
  assert.equal(await statusOf(`http://127.0.0.1:${port}/admin/status`, headers), 200);
  assert.equal(await statusOf(`http://127.0.0.1:${port}/admin/status`), 401);
  assert.equal(await statusOf(`http://127.0.0.1:${port}/v1/models`), 404, 'it serves nothing else');
  const client = await RawClient.connect(port);
  client.send('GET /admin/../secret HTTP/1.1\r\nHost: localhost\r\n\r\n');
  assert.equal((await client.answer()).status, 400);
  client.socket.destroy();
  await gateway.end();
  assert.match(gateway.log, /admin API and the page listen on/);
});
