import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AlertStandIn } from '../helpers/alert-stand-in.ts';
import { runCommand } from '../helpers/run-command.ts';

const UPSTREAMS = [{ name: 'chat', endpoint: 'http://127.0.0.1:1/v1', sk: 'key-of-chat' }];

test('alert test sends one message and prints exactly what came back, without the key in the URL', async () => {
  await using robot = await AlertStandIn.start((_received, response) =>
    response.end('{"code":19021,"msg":"sign match fail for hook-key-0123456789abcdef"}'),
  );
  const url = robot.at('/open-apis/bot/v2/hook/hook-key-0123456789abcdef');
  const config = {
    upstreams: UPSTREAMS,
    notify: [{ name: 'ops', type: 'feishu', url, secret: 'robot-secret' }],
  };
  const { code, stdout } = await runCommand('alert', config, { args: ['test', 'ops'] });
  assert.equal(code, 1);
  assert.equal(
    stdout,
    'ops (feishu): NOT ACCEPTED: HTTP 200 {"code":19021,"msg":"sign match fail for [redacted]"}\n',
  );
  assert.match(robot.received[0]?.body ?? '', /this is a test of the alerts/);
});

test('alert test without a name tests every channel, those of the environment included, and needs no other secrets', async () => {
  await using robot = await AlertStandIn.start((_received, response) => response.end('{"code":0}'));
  await using room = await AlertStandIn.start();
  const config = {
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a reference of the configuration.
    upstreams: [{ ...UPSTREAMS[0], sk: '${NOT_SET_HERE}' }],
  };
  const env = { FEISHU_WEBHOOK: robot.at('/hook'), MATRIX_API: room.at('/send?access_token=1') };
  const { code, stdout, stderr } = await runCommand('alert', config, { args: ['test'], env });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'feishu (feishu): sent: HTTP 200 {"code":0}\nmatrix (matrix): sent: HTTP 200 ok\n');
});

test('alert test names what can be tested', async () => {
  const notify = [{ type: 'slack', url: 'http://127.0.0.1:1/x' }];
  const unknown = await runCommand('alert', { upstreams: UPSTREAMS, notify }, { args: ['test', 'feishu'] });
  assert.equal(unknown.code, 2);
  assert.match(unknown.stderr, /NAME must be one of slack, not "feishu"/);
  const none = await runCommand('alert', { upstreams: UPSTREAMS }, { args: ['test'] });
  assert.equal(none.code, 1);
  assert.match(none.stderr, /No alerts are configured: add "notify"/);
});
