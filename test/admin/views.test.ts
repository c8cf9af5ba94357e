import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type {
  AdminAlertTest,
  AdminConfiguration,
  AdminModels,
  AdminProbe,
  AdminRequestDetail,
  AdminRequests,
  AdminStats,
  AdminStatus,
  AdminTokenHistory,
  AdminTokenRefresh,
  AdminTokens,
  AdminUpstreams,
  LogLevelChange,
  ReloadState,
} from '../../src/admin/api-types.ts';
import { ask } from '../behaviour/fault-rig.ts';
import { Gateway } from '../helpers/gateway.ts';
import { TestPostgres } from '../helpers/postgres.ts';
import { refusingUrl } from '../helpers/raw-upstream.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { AdminClient } from './admin-client.ts';

test('the views say what the gateway, its tokens, its upstreams and its records say', async (t) => {
  const issuer = await ScriptedIssuer.start({});
  t.after(() => issuer.close());
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    tokens: { corp: issuer.source },
    upstreams: [
      { name: 'dead', endpoint: await refusingUrl(), sk: 'key-of-dead', allow: ['m'] },
      { name: 'chat', endpoint: model.url, token: 'corp', allow: ['m'] },
      { name: 'half', endpoint: model.url, allow: ['m'] },
    ],
  });
  const admin = new AdminClient(gateway.url);
  await admin.get('/admin/session');
  assert.equal((await ask(gateway, 'chat', 'm')).response.status, 200);

  const { tokens } = await admin.get<AdminTokens>('/admin/tokens');
  assert.deepEqual(
    tokens.map(({ name, state, used_by }) => [name, state, used_by]),
    [['corp', 'fresh', ['chat']]],
  );
  const refreshed = await admin.post<AdminTokenRefresh>('/admin/tokens/corp/refresh');
  assert.ok(refreshed.is_ok, refreshed.message);
  assert.equal(refreshed.token.generation, 2);
  const { events } = await admin.get<AdminTokenHistory>('/admin/tokens/corp/history');
  assert.deepEqual(
    events.map(({ kind, reason }) => [kind, reason]),
    [
      ['acquired', 'start'],
      ['acquired', 'manual'],
    ],
  );

  // Records wait for others; reading the metrics passes them on.
  await gateway.metrics();
  const { upstreams } = await admin.get<AdminUpstreams>('/admin/upstreams');
  assert.deepEqual(
    upstreams.map(({ name, state }) => [name, state]),
    [
      ['dead', 'cooling'],
      ['chat', 'up'],
      ['half', 'skipped'],
    ],
  );
  assert.equal(upstreams[0]?.last_error?.kind, 'unreachable');
  assert.match(upstreams[2]?.defect ?? '', /no credentials/);
  assert.deepEqual(
    upstreams.map(({ recent }) => recent.requests),
    [0, 1, 0],
  );
  const probe = await admin.post<AdminProbe>('/admin/upstreams/chat/probe');
  assert.ok(probe.is_ok, probe.message);
  assert.ok(!(await admin.post<AdminProbe>('/admin/upstreams/dead/probe')).is_ok);

  const status = await admin.get<AdminStatus>('/admin/status');
  assert.equal(status.phase, 'serving');
  assert.deepEqual(
    status.degraded.map(({ part, name }) => [part, name]),
    [
      ['upstream', 'dead'],
      ['upstream', 'half'],
    ],
  );
  assert.ok(status.degraded.every(({ advice }) => advice !== ''));
  assert.deepEqual(
    status.degraded.map(({ code, advice_code }) => [code, advice_code]),
    [
      ['upstream_cooling', 'probe'],
      ['upstream_without_credentials', 'complete_configuration'],
    ],
  );
  assert.equal(status.degraded[0]?.facts.kind, 'unreachable');
  assert.deepEqual([status.recent.requests, status.recent.errors], [1, 0]);

  const { models } = await admin.get<AdminModels>('/admin/models');
  assert.deepEqual(models, [
    {
      id: 'm',
      upstreams: [
        { name: 'dead', upstream_model: 'm' },
        { name: 'chat', upstream_model: 'm' },
      ],
    },
  ]);

  const { requests } = await admin.get<AdminRequests>('/admin/requests?model=m');
  assert.deepEqual(
    requests.map(({ upstream, outcome, attempts }) => [upstream, outcome, attempts]),
    [['chat', 'ok', 2]],
  );
  const detail = await admin.get<AdminRequestDetail>(`/admin/requests/${requests[0]?.id}`);
  assert.deepEqual(
    detail.attempts.map(({ upstream, outcome }) => [upstream, outcome]),
    [
      ['dead', 'unreachable'],
      ['chat', 'ok'],
    ],
  );
  const [dead, chat] = detail.attempts;
  assert.ok(dead?.start_ms != null && chat?.start_ms != null && chat.start_ms >= dead.start_ms);
  assert.ok(chat.headers_ms != null && chat.headers_ms <= chat.elapsed_ms && dead.headers_ms === null);

  const stats = await admin.get<AdminStats>('/admin/stats?by=upstream&step=60');
  assert.deepEqual(
    stats.series.map(({ key, total }) => [key, total.requests]),
    [['chat', 1]],
  );
  assert.equal(await admin.status('GET', '/admin/requests?status=many'), 400);
  assert.equal(await admin.status('GET', '/admin/stats?step=7'), 400);
  assert.equal(await admin.status('GET', '/admin/requests/unknown'), 404);
});

test('an attempt says how long its connection took to open, and nothing where one was open already', async () => {
  await using model = await StandInModel.start();
  await using gateway = await Gateway.start({
    upstreams: [
      { name: 'dead', endpoint: await refusingUrl(), sk: 'key-of-dead', allow: ['m'] },
      { name: 'chat', endpoint: model.url, sk: 'key-of-chat', allow: ['m'] },
    ],
  });
  const admin = new AdminClient(gateway.url);
  const attemptsOf = async (model: string): Promise<AdminRequestDetail['attempts']> => {
    const { response } = await ask(gateway, 'chat', model);
    assert.equal(response.status, 200);
    const id = response.headers.get('x-request-id') ?? '';
    await gateway.rowOf(id);
    return (await admin.get<AdminRequestDetail>(`/admin/requests/${id}`)).attempts;
  };
  const [dead, chat] = await attemptsOf('m');
  assert.ok(dead?.connect_ms != null && dead.connect_ms <= dead.elapsed_ms, 'it was opening when it failed');
  assert.ok(chat?.connect_ms != null && chat.headers_ms != null && chat.connect_ms <= chat.headers_ms);
  const [again] = (await attemptsOf('m')).filter(({ upstream }) => upstream === 'chat');
  assert.equal(again?.connect_ms, null);
});

test('the configuration has every default and no secret, wherever the secret is', async () => {
  await using gateway = await Gateway.start(
    {
      admin: { key: 'admin-key-of-the-tests' },
      authorization: 'client-key-one',
      tokens: {
        corp: {
          type: 'http',
          url: 'http://user:url-password@127.0.0.1:9/token',
          headers: { 'x-secret': 'abc', 'x-app': 'llm' },
          vars: { secret: 'variable-secret' },
          body_text: '{{secret}}',
          token_at: 'body',
        },
      },
      upstreams: [
        { name: 'chat', endpoint: 'http://127.0.0.1:9/v1', sk: `\${SK}`, headers: { 'api-key': 'k' } },
      ],
    },
    { SK: 'key-from-environment' },
  );
  const admin = new AdminClient(gateway.url, { authorization: 'Bearer admin-key-of-the-tests' });
  const { configuration, yaml, path } = await admin.get<AdminConfiguration>('/admin/config');
  const text = JSON.stringify(configuration);
  assert.equal(configuration.timeout, 120_000);
  assert.match(path ?? '', /config\.yaml$/);
  for (const secret of [
    'admin-key',
    'client-key-one',
    'url-password',
    '"abc"',
    'variable-secret',
    'key-from',
    '"k"',
  ])
    assert.ok(!text.includes(secret) && !yaml.includes(secret.replaceAll('"', ' ')), secret);
  assert.ok(text.includes('"x-app":"llm"'));
});

test('a test message goes through one alert and says what came back', async (t) => {
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (text: string) => void bodies.push(text));
    request.on('end', () => response.writeHead(bodies.length === 1 ? 200 : 500).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret-of-the-hook`;
  await using gateway = await Gateway.start({
    notify: [{ type: 'webhook', name: 'hook', url }],
    upstreams: [{ name: 'chat', endpoint: 'http://127.0.0.1:9/v1', sk: 'key-of-chat' }],
  });
  const admin = new AdminClient(gateway.url);
  assert.deepEqual((await admin.get<AdminStatus>('/admin/status')).alerts, ['hook']);
  const sent = await admin.post<AdminAlertTest>('/admin/alerts/hook/test');
  assert.ok(sent.is_ok, sent.message);
  assert.equal(bodies.length, 1);
  const failed = await admin.post<AdminAlertTest>('/admin/alerts/hook/test');
  assert.ok(!failed.is_ok);
  assert.ok(!failed.message.includes('secret-of-the-hook'));
  assert.equal(await admin.status('POST', '/admin/alerts/other/test'), 404);
});

test('reload, log level and their results', async () => {
  await using gateway = await Gateway.start({
    upstreams: [{ name: 'chat', endpoint: 'http://127.0.0.1:9/v1', sk: 'key-of-chat' }],
  });
  const admin = new AdminClient(gateway.url);
  assert.deepEqual(
    await admin.post<ReloadState>('/admin/reload').then(({ is_ok, message }) => [is_ok, message]),
    [true, 'Nothing changed.'],
  );
  assert.deepEqual(await admin.post<LogLevelChange>('/admin/log-level', { level: 'debug' }), {
    level: 'debug',
  });
  assert.equal((await admin.get<AdminStatus>('/admin/status')).log_level, 'debug');
  assert.equal((await gateway.post('/admin/log-level', { level: 'loud' })).status, 400);
  assert.equal(
    (await gateway.post('/admin/log-level', 'level=debug', { headers: { 'content-type': 'text/plain' } }))
      .status,
    400,
  );
  await gateway.end();
  assert.match(gateway.log, /admin: log level debug/);
  assert.match(gateway.log, /admin: reload/);
});

test('a pause survives a reload that changes the upstream', async () => {
  await using model = await StandInModel.start();
  const upstream = { name: 'chat', endpoint: model.url, sk: 'key-of-chat' };
  await using gateway = await Gateway.start({ upstreams: [upstream] });
  const admin = new AdminClient(gateway.url);
  await admin.post('/admin/upstreams/chat/pause');
  const file = join(gateway.folder, 'config.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace('name: chat', 'name: chat\n    timeout: 77'));
  assert.ok(await gateway.service.reload());
  const { upstreams } = await admin.get<AdminUpstreams>('/admin/upstreams');
  assert.equal(upstreams[0]?.state, 'paused');
  assert.equal((await ask(gateway, 'chat', 'm')).response.status, 503);
});

const postgres = await TestPostgres.start();
after(() => postgres.close());

const HOSTILE = '<img src=x onerror=alert(1)></script><script>alert(2)</script>\u2028"\'';

for (const dbtype of ['sqlite', 'postgres'] as const) {
  test(`${dbtype}: requests in keyset pages, and hostile texts stay texts`, async () => {
    const address = dbtype === 'postgres' ? { dbaddr: await postgres.createDatabase() } : {};
    await using model = await StandInModel.start();
    await using gateway = await Gateway.start({
      dbtype,
      ...address,
      record: { content: 'all' },
      upstreams: [{ name: 'chat', endpoint: model.url, sk: 'key-of-chat' }],
    });
    const admin = new AdminClient(gateway.url);
    for (let index = 0; index < 7; index++)
      await gateway
        .post(
          '/v1/chat/completions',
          {
            model: index === 3 ? HOSTILE : 'm',
            messages: [{ role: 'user', content: `${HOSTILE} ${index}` }],
          },
          { headers: { 'x-request-id': `id-${index}`, 'user-agent': '<b>agent</b>' } },
        )
        .then((response) => response.text());
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const page: AdminRequests = await admin.get(`/admin/requests?limit=3${query}`);
      assert.ok(page.requests.length <= 3);
      seen.push(...page.requests.map(({ id }) => id));
      cursor = page.next_cursor;
    } while (cursor !== null);
    assert.deepEqual(seen, ['id-6', 'id-5', 'id-4', 'id-3', 'id-2', 'id-1', 'id-0']);
    const found = await admin.get<AdminRequests>(`/admin/requests?model=${encodeURIComponent(HOSTILE)}`);
    assert.deepEqual(
      found.requests.map(({ id, model: name }) => [id, name]),
      [['id-3', HOSTILE]],
    );
    const raw = await fetch(`${gateway.url}/admin/requests/id-3`);
    assert.match(raw.headers.get('content-type') ?? '', /^application\/json/);
    assert.equal(raw.headers.get('x-content-type-options'), 'nosniff');
    assert.match(raw.headers.get('content-security-policy') ?? '', /default-src 'none'/);
    const detail = (await raw.json()) as AdminRequestDetail;
    assert.equal(detail.request.model, HOSTILE);
    assert.equal(detail.user_agent, '<b>agent</b>');
    assert.ok(detail.body?.includes('onerror=alert(1)'));
    const text = await admin.get<AdminRequests>(`/admin/requests?text=${encodeURIComponent('ONERROR=')}`);
    assert.deepEqual(
      text.requests.map(({ id }) => id),
      ['id-3'],
    );
    const missing = await fetch(`${gateway.url}/admin/requests/${encodeURIComponent('<script>')}`);
    assert.equal(missing.status, 404);
    assert.match(missing.headers.get('content-type') ?? '', /^application\/json/);
    await missing.body?.cancel();
  });
}
