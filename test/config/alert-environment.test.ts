import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withEnvironmentChannels } from '../../src/config/load/alert-environment.ts';
import { load, MINIMAL } from './config-text.ts';

const FEISHU = 'https://open.feishu.cn/open-apis/bot/v2/hook/0123456789abcdef';

test('FEISHU_WEBHOOK and MATRIX_API are channels without any configuration', () => {
  const { root, warnings } = withEnvironmentChannels(
    {},
    { FEISHU_WEBHOOK: FEISHU, MATRIX_API: 'https://m/send' },
  );
  assert.deepEqual(root.notify, [
    { type: 'feishu', url: FEISHU },
    { type: 'matrix', url: 'https://m/send' },
  ]);
  assert.deepEqual(warnings, []);
});

test('MATRIX_ROOM and MATRIX_TOKEN together ask for the client API', () => {
  const env = { MATRIX_API: 'https://m', MATRIX_ROOM: '!r:m', MATRIX_TOKEN: 'syt' };
  assert.deepEqual(withEnvironmentChannels({}, env).root.notify, [
    { type: 'matrix', room: '!r:m', token: 'syt', url: 'https://m' },
  ]);
  const { MATRIX_TOKEN: _, ...withoutToken } = env;
  assert.deepEqual(withEnvironmentChannels({}, withoutToken).root.notify, [
    { type: 'matrix', url: 'https://m' },
  ]);
});

test('a URL that the file has already is not sent to twice', () => {
  const text = `${MINIMAL}notify: [{ type: feishu, url: "\${FEISHU_WEBHOOK}", every: 1m }]\n`;
  const { config } = load(text, { FEISHU_WEBHOOK: FEISHU });
  assert.equal(config.notify.length, 1);
  assert.equal(config.notify[0]?.every, 60_000);
});

test('a variable that is no URL is a warning, not a reason not to start', () => {
  const { config, warnings } = load(MINIMAL, { FEISHU_WEBHOOK: 'on' });
  assert.deepEqual(config.notify, []);
  assert.ok(
    warnings.some((one) => one.includes('FEISHU_WEBHOOK in the environment is no http:// or https:// URL')),
  );
});

test('the URL and the keys within it are secrets', () => {
  const { secrets } = load(MINIMAL, { FEISHU_WEBHOOK: FEISHU });
  const values = secrets.map((one) => one.reveal());
  assert.ok(values.includes(FEISHU) && values.includes('0123456789abcdef'));
});

test('channels of the same type have names of their own', () => {
  const items = '{ type: slack, url: "https://h/1" }, { type: slack, url: "https://h/2" }';
  const { config } = load(`${MINIMAL}notify: [${items}]\n`);
  assert.deepEqual(
    config.notify.map(({ name }) => name),
    ['slack', 'slack-2'],
  );
});
