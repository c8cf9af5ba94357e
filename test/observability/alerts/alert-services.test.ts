import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSender } from '../../../src/gateway/alert-channels.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import type { Alert } from '../../../src/observability/alerts/alert.ts';
import { load, MINIMAL, problemsOf } from '../../config/config-text.ts';
import { AlertStandIn, MailStandIn } from '../../helpers/alert-stand-in.ts';
import { ConnectProxy } from '../../helpers/connect-proxy.ts';

/** When every message is sent. */
const SINCE_MS = Date.UTC(2026, 10, 30, 12, 0, 0);

const DOWN: Alert = {
  event: 'upstream_down',
  kind: 'upstream_down',
  subject: 'chat',
  isResolved: false,
  severity: 'error',
  title: 'upstream chat is down: connection refused <ECONNREFUSED> & more',
  tried: '3 failures in a row',
  serving: 'spare (1 of 2 upstreams)',
  command: 'tokenferry check --config /etc/tokenferry/config.yaml',
  sinceMs: SINCE_MS,
  atMs: SINCE_MS,
  reports: 1,
  unsentChanges: 0,
  hostname: 'node-1',
};

const UP: Alert = {
  ...DOWN,
  event: 'upstream_up',
  isResolved: true,
  severity: 'info',
  title: 'upstream chat is back',
  tried: null,
  command: null,
  atMs: SINCE_MS + 180_000,
};

const DOWN_TEXT = [
  '[tokenferry] upstream chat is down: connection refused <ECONNREFUSED> & more',
  'Since: 2026-11-30 12:00:00 UTC',
  'Tried: 3 failures in a row',
  'Serving now: spare (1 of 2 upstreams)',
  'Run: tokenferry check --config /etc/tokenferry/config.yaml',
  'Host: node-1',
].join('\n');

const UP_TEXT = [
  '[tokenferry] Resolved: upstream chat is back',
  'Since: 2026-11-30 12:00:00 UTC, for 3 min',
  'Serving now: spare (1 of 2 upstreams)',
  'Host: node-1',
].join('\n');

/** Sends the alerts through the channel that this item of `notify` configures. */
async function send(item: Record<string, unknown>, alerts: readonly Alert[]) {
  const { config } = load(`${MINIMAL}notify: ${JSON.stringify([item])}\n`);
  const [channel] = config.notify;
  assert.ok(channel !== undefined);
  const sender = buildSender(channel, 'notify[0]', { ...systemClock, wallMs: () => SINCE_MS });
  try {
    const results = [];
    for (const message of sender.prepare(alerts)) results.push(await message.send());
    return results;
  } finally {
    await sender.close();
  }
}

/** HMAC-SHA256 in base64 by Web Crypto, so that a signature is not checked with the code that made it. */
async function subtleHmac(key: string, text: string): Promise<string> {
  const algorithm = { name: 'HMAC', hash: 'SHA-256' };
  const imported = await crypto.subtle.importKey('raw', Buffer.from(key), algorithm, false, ['sign']);
  return Buffer.from(await crypto.subtle.sign('HMAC', imported, Buffer.from(text))).toString('base64');
}

test('feishu: a text message without a secret, as openai-api-route sends it', async () => {
  await using robot = await AlertStandIn.start((_received, response) =>
    response.end('{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}'),
  );
  const [result] = await send({ type: 'feishu', url: robot.at('/open-apis/bot/v2/hook/1') }, [DOWN, UP]);
  assert.deepEqual(robot.bodies, [{ msg_type: 'text', content: { text: `${DOWN_TEXT}\n\n${UP_TEXT}` } }]);
  assert.equal(robot.received[0]?.headers['content-type'], 'application/json; charset=utf-8');
  assert.equal(result?.verdict.isAccepted, true);
});

test('feishu: with a secret the key of the signature is time and secret, and its text is empty', async () => {
  await using robot = await AlertStandIn.start((_received, response) => response.end('{"code":0}'));
  await send({ type: 'feishu', url: robot.at('/hook'), secret: 'secret-of-robot' }, [DOWN]);
  // By the Python example of the documentation: hmac.new(f"{timestamp}\\n{secret}".encode(), b"", sha256).
  assert.deepEqual(robot.bodies, [
    {
      timestamp: '1796040000',
      sign: '5sRcQAz95aaduLJs7EqXIDkZAVLSROxwBQbrZYiqow4=',
      msg_type: 'text',
      content: { text: DOWN_TEXT },
    },
  ]);
  assert.equal(
    await subtleHmac('1796040000\nsecret-of-robot', ''),
    '5sRcQAz95aaduLJs7EqXIDkZAVLSROxwBQbrZYiqow4=',
  );
});

test('feishu and its kind refuse with a code in a 200: limits are retried, everything else is not', async () => {
  await using robot = await AlertStandIn.start();
  const cases: [type: string, body: string, isRetryable: boolean][] = [
    [
      'feishu',
      '{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}',
      false,
    ],
    ['feishu', '{"code":11232,"msg":"frequency limited"}', true],
    ['feishu', '{"code":9499,"msg":"Bad Request"}', false],
    ['dingtalk', '{"errcode":310000,"errmsg":"sign not match"}', false],
    ['dingtalk', '{"errcode":130101,"errmsg":"send too fast"}', true],
    ['wecom', '{"errcode":93000,"errmsg":"invalid webhook url"}', false],
    ['wecom', '{"errcode":45009,"errmsg":"api freq out of limit"}', true],
    [
      'teams',
      'Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429',
      true,
    ],
    ['feishu', 'a page of a proxy', false],
  ];
  for (const [type, body, isRetryable] of cases) {
    robot.respond = (_received, response) => void response.end(body);
    const [result] = await send({ type, url: robot.at('/hook') }, [DOWN]);
    assert.deepEqual(
      result,
      { verdict: { isAccepted: false, isRetryable }, words: `HTTP 200 ${body}` },
      body,
    );
  }
});

test('dingtalk: time in milliseconds and signature are added to the query that is there', async () => {
  await using robot = await AlertStandIn.start((_received, response) =>
    response.end('{"errcode":0,"errmsg":"ok"}'),
  );
  const url = robot.at('/robot/send?access_token=0123456789abcdef0123');
  const [result] = await send({ type: 'dingtalk', url, secret: 'SECret' }, [DOWN]);
  assert.equal(result?.verdict.isAccepted, true);
  assert.deepEqual(robot.bodies, [{ msgtype: 'text', text: { content: DOWN_TEXT } }]);
  // By the Python example of the documentation: hmac.new(secret.encode(), f"{timestamp}\\n{secret}".encode(), sha256).
  assert.equal(
    robot.received[0]?.path,
    '/robot/send?access_token=0123456789abcdef0123&timestamp=1796040000000&sign=N5kgjHWFCL%2B37Vw8UObGtXAkKCRFICu1EyNZhRlzkCA%3D',
  );
  assert.equal(
    await subtleHmac('SECret', '1796040000000\nSECret'),
    decodeURIComponent('N5kgjHWFCL%2B37Vw8UObGtXAkKCRFICu1EyNZhRlzkCA%3D'),
  );
});

test('wecom: a text of at most 2,048 bytes, cut at a whole character', async () => {
  await using robot = await AlertStandIn.start((_received, response) => response.end('{"errcode":0}'));
  await send({ type: 'wecom', url: robot.at('/cgi-bin/webhook/send?key=k') }, [DOWN]);
  await send({ type: 'wecom', url: robot.at('/cgi-bin/webhook/send?key=k') }, [
    { ...DOWN, title: '上游'.repeat(1_000) },
  ]);
  assert.deepEqual(robot.bodies[0], { msgtype: 'text', text: { content: DOWN_TEXT } });
  const { content } = (robot.bodies[1] as { text: { content: string } }).text;
  assert.ok(Buffer.byteLength(content) <= 2_048 && Buffer.byteLength(content) > 2_040);
  assert.match(content, /上?游?…$/);
  assert.doesNotMatch(content, /\uFFFD/);
});

test('slack: a text whose signs with a meaning are escaped; a refusal is a status with a word', async () => {
  await using hook = await AlertStandIn.start();
  const [sent] = await send({ type: 'slack', url: hook.at('/services/T0/B0/x') }, [DOWN]);
  assert.equal(sent?.verdict.isAccepted, true);
  assert.deepEqual(hook.bodies, [
    { text: DOWN_TEXT.replace('<ECONNREFUSED> & more', '&lt;ECONNREFUSED&gt; &amp; more') },
  ]);
  hook.respond = (_received, response) => void response.writeHead(404).end('no_service');
  const [refused] = await send({ type: 'slack', url: hook.at('/services/T0/B0/x') }, [DOWN]);
  assert.deepEqual(refused, {
    verdict: { isAccepted: false, isRetryable: false },
    words: 'HTTP 404 no_service',
  });
  hook.respond = (_received, response) => void response.writeHead(429, { 'retry-after': '7' }).end();
  const [limited] = await send({ type: 'slack', url: hook.at('/services/T0/B0/x') }, [DOWN]);
  assert.deepEqual(limited?.verdict, { isAccepted: false, isRetryable: true, retryAfterMs: 7_000 });
});

test('teams: one adaptive card as an attachment, its problem and its facts', async () => {
  await using workflow = await AlertStandIn.start((_received, response) => response.writeHead(202).end());
  const [result] = await send({ type: 'teams', url: workflow.at('/workflows/1/triggers/manual?sig=s') }, [
    DOWN,
  ]);
  assert.equal(result?.verdict.isAccepted, true);
  assert.deepEqual(workflow.bodies, [
    {
      type: 'message',
      attachments: [
        {
          contentType: 'application/vnd.microsoft.card.adaptive',
          contentUrl: null,
          content: {
            $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
            type: 'AdaptiveCard',
            version: '1.4',
            msteams: { width: 'Full' },
            body: [
              {
                type: 'TextBlock',
                text: '[tokenferry] upstream chat is down: connection refused <ECONNREFUSED> & more',
                wrap: true,
                weight: 'Bolder',
                color: 'Attention',
              },
              {
                type: 'FactSet',
                facts: [
                  { title: 'Since', value: '2026-11-30 12:00:00 UTC' },
                  { title: 'Tried', value: '3 failures in a row' },
                  { title: 'Serving now', value: 'spare (1 of 2 upstreams)' },
                  { title: 'Run', value: 'tokenferry check --config /etc/tokenferry/config.yaml' },
                  { title: 'Host', value: 'node-1' },
                ],
              },
            ],
          },
        },
      ],
    },
  ]);
});

test('pagerduty: a problem triggers and its end resolves the incident with the same key, each in its own request', async () => {
  await using events = await AlertStandIn.start((_received, response) =>
    response.writeHead(202).end('{"status":"success","message":"Event processed","dedup_key":"k"}'),
  );
  const key = 'R0123456789ABCDEF0123456789ABCDE';
  const results = await send({ type: 'pagerduty', key, url: events.at('/v2/enqueue') }, [DOWN, UP]);
  assert.deepEqual(
    results.map(({ verdict }) => verdict.isAccepted),
    [true, true],
  );
  const common = {
    routing_key: key,
    dedup_key: 'tokenferry/node-1/upstream_down/chat',
    client: 'tokenferry',
  };
  const payload = {
    source: 'node-1',
    timestamp: '2026-11-30T12:00:00.000Z',
    component: 'chat',
    group: 'tokenferry',
    class: 'upstream_down',
  };
  assert.deepEqual(events.bodies, [
    {
      ...common,
      event_action: 'trigger',
      payload: {
        ...payload,
        summary: '[tokenferry] upstream chat is down: connection refused <ECONNREFUSED> & more',
        severity: 'error',
        custom_details: {
          Since: '2026-11-30 12:00:00 UTC',
          Tried: '3 failures in a row',
          'Serving now': 'spare (1 of 2 upstreams)',
          Run: 'tokenferry check --config /etc/tokenferry/config.yaml',
          Host: 'node-1',
        },
      },
    },
    {
      ...common,
      event_action: 'resolve',
      payload: {
        ...payload,
        summary: '[tokenferry] Resolved: upstream chat is back',
        severity: 'info',
        custom_details: {
          Since: '2026-11-30 12:00:00 UTC, for 3 min',
          'Serving now': 'spare (1 of 2 upstreams)',
          Host: 'node-1',
        },
      },
    },
  ]);
});

test('matrix: a complete URL gets the JSON of openai-api-route, with the member that Matrix reads', async () => {
  await using server = await AlertStandIn.start((_received, response) => response.end('{"event_id":"$1"}'));
  await send({ type: 'matrix', url: server.at('/_matrix/client/r0/rooms/x/send/m.room.message') }, [DOWN]);
  assert.equal(server.received[0]?.method, 'POST');
  assert.deepEqual(server.bodies, [{ message: 'm.text', msgtype: 'm.text', body: DOWN_TEXT }]);
});

test('matrix: with room and token the client API, and a retry is the same transaction', async () => {
  let statuses = [429, 200];
  await using server = await AlertStandIn.start((_received, response) => {
    const [status = 200, ...rest] = statuses;
    statuses = rest;
    response.writeHead(status).end(status === 200 ? '{"event_id":"$1"}' : '{"errcode":"M_LIMIT_EXCEEDED"}');
  });
  const item = { type: 'matrix', url: server.at('/'), room: '!r:corp.example', token: 'syt_token' };
  const { config } = load(`${MINIMAL}notify: ${JSON.stringify([item])}\n`);
  const [channel] = config.notify;
  assert.ok(channel !== undefined);
  const sender = buildSender(channel, 'notify[0]', systemClock);
  const [message] = sender.prepare([DOWN]);
  assert.deepEqual((await message?.send())?.verdict, {
    isAccepted: false,
    isRetryable: true,
    retryAfterMs: undefined,
  });
  assert.equal((await message?.send())?.verdict.isAccepted, true);
  await sender.close();
  const [first, second] = server.received;
  assert.equal(first?.method, 'PUT');
  assert.match(
    first?.path ?? '',
    /^\/_matrix\/client\/v3\/rooms\/!r%3Acorp\.example\/send\/m\.room\.message\/[\w-]{36}$/,
  );
  assert.equal(first?.path, second?.path);
  assert.equal(first?.headers.authorization, 'Bearer syt_token');
  assert.deepEqual(server.bodies[0], { msgtype: 'm.text', body: DOWN_TEXT });
});

test('webhook: the facts as JSON, with headers of the configuration, signed as Standard Webhooks', async () => {
  await using hook = await AlertStandIn.start();
  const secret = `whsec_${Buffer.from('key-of-webhook-receiver').toString('base64')}`;
  await send({ type: 'webhook', url: hook.at('/hook'), secret, headers: { 'X-Team': 'llm' } }, [DOWN, UP]);
  assert.equal(hook.received.length, 2, 'each alert in a request of its own');
  const [first] = hook.received;
  assert.deepEqual(hook.bodies[0], {
    event: 'upstream_down',
    state: 'firing',
    severity: 'error',
    subject: 'chat',
    title: DOWN.title,
    tried: DOWN.tried,
    serving: DOWN.serving,
    command: DOWN.command,
    since: '2026-11-30T12:00:00.000Z',
    time: '2026-11-30T12:00:00.000Z',
    reports: 1,
    hostname: 'node-1',
    text: DOWN_TEXT,
  });
  assert.equal(hook.bodies[1]?.state, 'resolved');
  assert.equal(first?.headers['x-team'], 'llm');
  const {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    'webhook-signature': signature,
  } = first?.headers ?? {};
  assert.equal(
    signature,
    `v1,${await subtleHmac('key-of-webhook-receiver', `${id}.${timestamp}.${first?.body}`)}`,
  );
});

test('webhook: a template is the whole body, and json() quotes what it inserts', async () => {
  await using hook = await AlertStandIn.start();
  const quoted = { ...DOWN, title: 'upstream "chat" is\ndown' };
  const url = hook.at('/hook');
  await send(
    { type: 'webhook', url, template: '{"msg": {{json(title)}}, "who": "{{hostname}}/{{state}}"}' },
    [quoted],
  );
  await send({ type: 'webhook', url, template: '{{event}} {{subject}}: {{serving}}' }, [quoted]);
  assert.deepEqual(JSON.parse(hook.received[0]?.body ?? ''), { msg: quoted.title, who: 'node-1/firing' });
  assert.equal(hook.received[0]?.headers['content-type'], 'application/json; charset=utf-8');
  assert.equal(hook.received[1]?.body, 'upstream_down chat: spare (1 of 2 upstreams)');
  assert.equal(hook.received[1]?.headers['content-type'], 'text/plain; charset=utf-8');
});

test('a template is the text of every other service', async () => {
  await using robot = await AlertStandIn.start((_received, response) => response.end('{"code":0}'));
  await send({ type: 'feishu', url: robot.at('/hook'), template: '警报 {{subject}}: {{title}}' }, [UP]);
  assert.deepEqual(robot.bodies, [
    { msg_type: 'text', content: { text: '警报 chat: upstream chat is back' } },
  ]);
});

test('an unknown name in a template is an error with its place and the names that exist', async () => {
  await assert.rejects(
    send({ type: 'webhook', url: 'http://127.0.0.1:1/', template: '{{titel}}' }, [DOWN]),
    /notify\[0\]\.template: unknown name titel; known are title, text, event/,
  );
});

test('email: one message through SMTP with the user of the URL', async () => {
  await using mail = await new MailStandIn().listening();
  const url = `smtp://alerts%40corp:pass%2Fword@127.0.0.1:${mail.port}`;
  const item = {
    type: 'email',
    url,
    from: 'tokenferry@corp.example',
    to: ['ops@corp.example', 'llm@corp.example'],
  };
  const [result] = await send(item, [DOWN, UP]);
  assert.deepEqual(result, {
    verdict: { isAccepted: true, isRetryable: false },
    words: '250 2.0.0 OK queued as 4711',
  });
  const login = mail.commands.find((line) => line.startsWith('AUTH PLAIN')) ?? '';
  assert.equal(Buffer.from(login.slice(11), 'base64').toString(), '\0alerts@corp\0pass/word');
  assert.deepEqual(
    mail.commands.filter((line) => /^(?:MAIL|RCPT)/.test(line)),
    ['MAIL FROM:<tokenferry@corp.example>', 'RCPT TO:<ops@corp.example>', 'RCPT TO:<llm@corp.example>'],
  );
  const [message = ''] = mail.messages;
  const unfolded = message.replace(/\r\n\s+/g, ' ');
  assert.match(unfolded, /^Subject: \[tokenferry\] upstream chat is down: .*\(and 1 more\)$/m);
  assert.match(message, /Serving now: spare \(1 of 2 upstreams\)/);
  assert.match(message, /Resolved: upstream chat is back/);
});

test('email: a recipient that does not exist is refused, a server that is not there is tried again', async () => {
  await using mail = await new MailStandIn().listening();
  mail.recipientReply = '550 5.1.1 no such user';
  const item = { type: 'email', from: 'a@corp.example', to: ['nobody@corp.example'] };
  const [refused] = await send({ ...item, url: `smtp://127.0.0.1:${mail.port}` }, [DOWN]);
  assert.deepEqual(refused, {
    verdict: { isAccepted: false, isRetryable: false },
    words: '550 5.1.1 no such user',
  });
  const [missing] = await send({ ...item, url: 'smtp://127.0.0.1:1' }, [DOWN]);
  assert.deepEqual(missing?.verdict, { isAccepted: false, isRetryable: true });
});

test('email: through a proxy, with its user; one that refuses is named and its password is not', async () => {
  await using mail = await new MailStandIn().listening();
  await using proxy = await ConnectProxy.start('tunnel:secret-of-proxy');
  const item = {
    type: 'email',
    url: `smtp://mail.corp.example:${mail.port}`,
    from: 'a@corp.example',
    to: ['ops@corp.example'],
  };
  const [sent] = await send({ ...item, proxy: proxy.urlWith('tunnel', 'secret-of-proxy') }, [DOWN]);
  assert.equal(sent?.words, '250 2.0.0 OK queued as 4711');
  assert.deepEqual(proxy.seen, [`CONNECT mail.corp.example:${mail.port}`]);
  assert.equal(mail.messages.length, 1);
  const [refused] = await send({ ...item, proxy: proxy.urlWith('tunnel', 'another-secret') }, [DOWN]);
  assert.equal(refused?.verdict.isAccepted, false);
  assert.doesNotMatch(refused?.words ?? '', /another-secret/);
  assert.match(refused?.words ?? '', /proxy/i);
});

test('a service that cannot be reached is named by its failure, never by its URL', async () => {
  const [result] = await send({ type: 'slack', url: 'http://127.0.0.1:1/services/T0/B0/secret-of-hook' }, [
    DOWN,
  ]);
  assert.deepEqual(result, {
    verdict: { isAccepted: false, isRetryable: true },
    words: 'connection refused (ECONNREFUSED)',
  });
});

test('what a type needs, and what it would ignore, is an error with its line', () => {
  const problems = (item: Record<string, unknown>) =>
    problemsOf(`${MINIMAL}notify: [${JSON.stringify(item)}]\n`);
  assert.deepEqual(problems({ type: 'slack' }), ['5 notify[0].url: is required for type slack']);
  assert.deepEqual(problems({ type: 'slack', url: 'https://h/x', secret: 's' }), [
    '5 notify[0].secret: has no meaning for type slack; remove it',
  ]);
  const mail = { type: 'email', url: 'smtp://h', from: 'a@h', to: ['b@h'] };
  assert.deepEqual(problems({ ...mail, proxy: 'environment' }), [
    '5 notify[0].proxy: must be the URL of an HTTP proxy for type email: HTTPS_PROXY is not for mail',
  ]);
  assert.deepEqual(problems({ type: 'pagerduty' }), ['5 notify[0].key: is required for type pagerduty']);
  assert.deepEqual(problems({ type: 'matrix', url: 'https://h', room: '!r:h' }), [
    '5 notify[0].room: needs token: the access token of the account that sends',
  ]);
  assert.deepEqual(problems({ type: 'email', url: 'https://h', from: 'a@b', to: ['c@d'] }), [
    '5 notify[0].url: must be a URL that starts with smtp:// or smtps:// for type email',
  ]);
});
