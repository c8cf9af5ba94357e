import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AdminRequests } from '../../src/admin/api-types.ts';
import { Gateway } from '../helpers/gateway.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { AdminClient, cookieOf } from './admin-client.ts';

const ADMIN_KEY = 'an-admin-key-for-tests';
const BODY = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };

test('a session calls models as the client playground, without a client key and without its own credentials', async () => {
  const received: (string | undefined)[][] = [];
  await using model = await StandInModel.start({
    models: ['m'],
    intercept: ({ headers }) => {
      received.push([headers.authorization, headers.cookie, String(headers['x-csrf-token'])]);
      return false;
    },
  });
  await using gateway = await Gateway.start({
    admin: { key: ADMIN_KEY },
    authorization: 'key-of-clients',
    record: { keep_headers: ['cookie', 'authorization', 'x-csrf-token', 'user-agent'] },
    upstreams: [{ name: 'chat', endpoint: model.url, sk: 'key-of-chat', allow: ['m'] }],
  });
  const login = await gateway.post('/admin/session', { key: ADMIN_KEY });
  const { csrf_token: csrf } = (await login.json()) as { csrf_token: string };
  const cookie = cookieOf(login);
  const headers = { cookie, 'x-csrf-token': csrf, origin: gateway.url };

  const stream = await gateway.post(
    '/admin/playground/chat/completions',
    { ...BODY, stream: true },
    { headers },
  );
  const text = await stream.text();
  assert.equal(stream.status, 200, text);
  assert.match(text, /\ndata: \[DONE\]\n\n$/);
  const names = [...stream.headers.keys()].filter((name) => name.startsWith('access-control'));
  assert.deepEqual(names, [], 'no CORS');
  assert.equal(stream.headers.get('x-tokenferry-upstream'), 'chat');
  await gateway.rowOf(stream.headers.get('x-request-id'));

  const chat = await gateway.post('/admin/playground/chat/completions', BODY, { headers });
  assert.equal(chat.status, 200);
  assert.equal(((await chat.json()) as { object: string }).object, 'chat.completion');
  const row = await gateway.rowOf(chat.headers.get('x-request-id'));
  assert.deepEqual([row.client, row.path], ['playground', '/v1/chat/completions']);
  assert.ok(!JSON.stringify(row).includes(csrf) && !JSON.stringify(row).includes(cookie));
  assert.deepEqual(received.at(-1), ['Bearer key-of-chat', undefined, 'undefined']);

  const models = await fetch(`${gateway.url}/admin/playground/models`, { headers });
  assert.match(await models.text(), /"id":"m"/);
  const admin = new AdminClient(gateway.url, { authorization: `Bearer ${ADMIN_KEY}` });
  const { requests } = await admin.get<AdminRequests>(
    '/admin/requests?client=playground&path=/v1/chat/completions',
  );
  assert.equal(requests.length, 2);
  await gateway.end();
  assert.match(gateway.log, /admin: playground POST \/admin\/playground\/chat\/completions/);
});

test('the playground needs the session and its CSRF token, and serves what it lists only', async () => {
  await using model = await StandInModel.start({ models: ['m'] });
  await using gateway = await Gateway.start({
    admin: { key: ADMIN_KEY },
    authorization: 'key-of-clients',
    upstreams: [{ name: 'chat', endpoint: model.url, sk: 'key-of-chat', allow: ['m'] }],
  });
  const login = await gateway.post('/admin/session', { key: ADMIN_KEY });
  const { csrf_token: csrf } = (await login.json()) as { csrf_token: string };
  const cookie = cookieOf(login);
  const status = async (path: string, headers: Record<string, string>): Promise<number> => {
    const response = await gateway.post(path, BODY, { headers });
    await response.text();
    return response.status;
  };
  const chat = '/admin/playground/chat/completions';
  assert.equal(await status(chat, {}), 401);
  assert.equal(await status(chat, { authorization: 'Bearer key-of-clients' }), 401);
  assert.equal(await status(chat, { cookie }), 403);
  assert.equal(await status(chat, { cookie, 'x-csrf-token': csrf, origin: 'https://evil.example' }), 403);
  assert.equal(await status('/admin/playground/files', { cookie, 'x-csrf-token': csrf }), 404);
  assert.equal(await status(chat, { cookie, 'x-csrf-token': csrf }), 200);
});
