import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { generate } from 'selfsigned';
import { stringify } from 'yaml';
import { AlertStandIn } from '../helpers/alert-stand-in.ts';
import { Gateway, until } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { LIMITS } from './fault-rig.ts';

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };

function chat(gateway: Gateway): Promise<Response> {
  return gateway.post('/v1/chat/completions', CHAT, { headers: { authorization: 'Bearer client-key' } });
}

/** The lines of every message, the first of each being what happened. */
function messagesTo(service: AlertStandIn): string[][] {
  return service.bodies.flatMap((body) => {
    const { text } = (body.content ?? body) as { readonly text: string };
    return text.split('\n\n').map((one) => one.split('\n'));
  });
}

test('1,000 failed requests are one alert for each thing that fails and one when it works again', async () => {
  await using robot = await AlertStandIn.start((_received, response) => response.end('{"code":0}'));
  let isSick = true;
  await using model = await StandInModel.start({
    reply: 'all is well',
    intercept: (_request, response) => {
      if (isSick) response.writeHead(500).end('{}');
      return isSick;
    },
  });
  const config = {
    ...LIMITS,
    authorization: 'client-key',
    dbtype: 'none',
    hostname: 'node-7',
    retry: { same_upstream: 0 },
    cool_down: { failures: 3, first: '20ms', max: '50ms' },
    upstreams: [{ name: 'chat', endpoint: model.url, sk: 'key-of-chat', allow: ['m'] }],
  };
  await using gateway = await Gateway.start(config, { FEISHU_WEBHOOK: robot.at('/hook/0123456789abcdef') });
  for (let batch = 0; batch < 50; batch++) {
    const responses = await Promise.all(Array.from({ length: 20 }, () => chat(gateway)));
    for (const response of responses) {
      assert.ok(response.status >= 500);
      await response.arrayBuffer();
    }
  }
  await until(() => messagesTo(robot).length === 2, 'both alerts');
  isSick = false;
  assert.equal((await chat(gateway)).status, 200);
  await until(() => messagesTo(robot).length === 4, 'both recoveries');
  const messages = messagesTo(robot);
  assert.deepEqual(messages.map(([title]) => title?.replace(/: .*/, '')).sort(), [
    '[tokenferry] Resolved',
    '[tokenferry] Resolved',
    '[tokenferry] no upstream could serve m',
    '[tokenferry] upstream chat is down',
  ]);
  const down = messages.find(([title]) => title?.includes('is down')) ?? [];
  assert.match(down[1] ?? '', /^Since: \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
  assert.equal(down[2], 'Tried: 3 failures in a row; it is tried again by itself');
  assert.equal(down[3], 'Serving now: no upstream (0 of 1)');
  assert.match(down[4] ?? '', /^Run: tokenferry check --config \/.*config\.yaml$/);
  assert.equal(down[5], 'Host: node-7');
  const end =
    messages.find(([title]) => title?.includes('Resolved: m is served again by upstream chat')) ?? [];
  assert.ok(end.includes('Failed requests: 1000'), end.join('\n'));
  const metrics = await gateway.metrics();
  for (const event of ['upstream_down', 'upstream_up', 'all_failed', 'all_ok'])
    assert.ok(
      metrics.includes(`tokenferry_alerts_total{type="feishu",event="${event}",result="sent"} 1`),
      event,
    );
  assert.ok(!gateway.log.includes('0123456789abcdef'));
});

test('an alert service that hangs costs requests nothing, and the shutdown does not wait for it', async () => {
  await using hanging = await AlertStandIn.start(() => {});
  await using good = await StandInModel.start({ reply: 'all is well' });
  const config = {
    ...LIMITS,
    authorization: 'client-key',
    dbtype: 'none',
    upstreams: [
      { name: 'dead', endpoint: 'http://127.0.0.1:1/v1', sk: 'key-of-dead', allow: ['m'] },
      { name: 'good', endpoint: good.url, sk: 'key-of-good', allow: ['m'] },
    ],
    notify: [{ type: 'slack', url: hanging.at('/services/secret-of-slack-hook') }],
  };
  const gateway = await Gateway.start(config);
  try {
    assert.equal((await chat(gateway)).status, 200);
    await until(() => hanging.received.length === 1, 'the alert that gets no response');
    for (let sent = 0; sent < 100; sent++) assert.equal((await chat(gateway)).status, 200);
    assert.equal(hanging.received.length, 1, 'and it still waits');
  } finally {
    const startedMs = performance.now();
    await gateway.end();
    assert.ok(performance.now() - startedMs < 10_000, 'bounded');
    assert.ok(!gateway.log.includes('secret-of-slack-hook'));
    await gateway.close();
  }
});

test('a token source that fails, and its recovery, without its secret', async () => {
  await using robot = await AlertStandIn.start();
  await using issuer = await ScriptedIssuer.start();
  issuer.defaults({ status: 503, body: 'secret issuer-secret-d03f' });
  await using model = await StandInModel.start({ reply: 'all is well' });
  await using gateway = await Gateway.start({
    ...LIMITS,
    authorization: 'client-key',
    dbtype: 'none',
    tokens: {
      corp: {
        type: 'oauth2',
        token_url: issuer.tokenUrl,
        client_id: 'app',
        client_secret: 'issuer-secret-d03f',
        refresh: { max_wait: '300ms' },
      },
    },
    upstreams: [{ name: 'chat', endpoint: model.url, token: 'corp', allow: ['m'] }],
    notify: [{ type: 'webhook', url: robot.at('/hook'), events: ['token_failing', 'token_ok'] }],
  });
  assert.equal((await chat(gateway)).status, 503);
  await until(() => robot.received.length === 1, 'the alert');
  const [alert] = robot.bodies;
  assert.equal(alert?.event, 'token_failing');
  assert.equal(alert?.subject, 'corp');
  assert.match(String(alert?.title), /^token source corp is failing: .*503/);
  assert.match(String(alert?.serving), /^no token: upstreams with it serve nothing/);
  assert.match(String(alert?.command), /^tokenferry token corp --config /);
  assert.ok(!JSON.stringify(alert).includes('issuer-secret-d03f'));
  issuer.defaults({});
  while (robot.received.length < 2) {
    await chat(gateway);
    await sleep(50);
  }
  assert.equal(robot.bodies[1]?.event, 'token_ok');
});

test('a reload that fails is an alert, its correction a recovery, and a reload changes the channels', async () => {
  await using first = await AlertStandIn.start();
  await using second = await AlertStandIn.start();
  const config = (notify: object) => ({
    address: '127.0.0.1:0',
    authorization: 'client-key',
    dbtype: 'none',
    upstreams: [{ name: 'chat', endpoint: 'http://127.0.0.1:1/v1', sk: 'key-of-chat', allow: ['m'] }],
    notify: [notify],
  });
  const toFirst = config({ type: 'webhook', url: first.at('/hook') });
  await using gateway = await Gateway.start(toFirst);
  const file = join(gateway.folder, 'config.yaml');
  writeFileSync(file, 'upstreams: [\n');
  await gateway.service.reload();
  await until(() => first.received.length === 1, 'the alert');
  assert.equal(first.bodies[0]?.event, 'reload_failed');
  writeFileSync(file, stringify(toFirst));
  await gateway.service.reload();
  await until(() => first.received.length === 2, 'the recovery');
  assert.equal(first.bodies[1]?.event, 'reload_ok');
  writeFileSync(file, stringify(config({ type: 'webhook', url: second.at('/hook') })));
  assert.equal(await gateway.service.reload(), true);
  await chat(gateway);
  await until(() => second.received.length === 2, 'the alerts at the new place');
  assert.deepEqual(second.bodies.map(({ event }) => event).sort(), ['all_failed', 'upstream_down']);
  assert.equal(first.received.length, 2, 'nothing more at the old one');
  writeFileSync(file, stringify(config({ type: 'webhook', url: second.at('/hook'), template: '{{titel}}' })));
  assert.equal(await gateway.service.reload(), false, 'a template that cannot work is refused');
  await until(() => gateway.log.includes('notify[0].template: unknown name titel'), 'the reason');
});

test('a certificate of the configuration that expires within two weeks is an alert', async (t) => {
  await using service = await AlertStandIn.start();
  const folder = temporaryDirectory(t);
  const inFiveDays = new Date(Date.now() + 5 * 86_400_000);
  const pair = await generate([{ name: 'commonName', value: 'llm-app' }], { notAfterDate: inFiveDays });
  const [cert, key] = [join(folder, 'c.pem'), join(folder, 'k.pem')];
  writeFileSync(cert, pair.cert);
  writeFileSync(key, pair.private);
  await using gateway = await Gateway.start({
    dbtype: 'none',
    authorization: 'client-key',
    upstreams: [{ name: 'chat', endpoint: 'https://127.0.0.1:1/v1', sk: 'key-of-chat', tls: { cert, key } }],
    notify: [{ type: 'webhook', url: service.at('/hook') }],
  });
  await until(() => service.received.length === 1, 'the alert');
  assert.equal(service.bodies[0]?.event, 'certificate_expiring');
  const day = inFiveDays.toISOString().slice(0, 10);
  assert.equal(service.bodies[0]?.title, `the TLS certificate of upstreams[0].tls.cert expires on ${day}`);
  const renewed = await generate([{ name: 'commonName', value: 'llm-app' }], {
    notAfterDate: new Date(Date.now() + 100 * 86_400_000),
  });
  writeFileSync(cert, renewed.cert);
  writeFileSync(key, renewed.private);
  assert.equal(await gateway.service.reload(), true);
  await until(() => service.received.length === 2, 'the recovery');
  assert.equal(service.bodies[1]?.event, 'certificate_ok');
});
