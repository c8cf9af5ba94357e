import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { Gateway } from '../../helpers/gateway.ts';
import { StandInModel } from '../../helpers/stand-in-model.ts';
import { temporaryDirectory } from '../../helpers/temporary-directory.ts';
import { documentedQueries, panelQueries } from '../deployed-queries.ts';

const folder = fileURLToPath(new URL('../../../deploy/prometheus', import.meta.url));

function promtool(
  args: readonly string[],
  input?: string,
): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync('promtool', args, { cwd: folder, encoding: 'utf8', input });
  return { status, output: `${stdout}${stderr}` };
}

test('promtool accepts the metrics of a gateway that has served requests', async () => {
  await using model = await StandInModel.start({ reply: 'all is well' });
  await using gateway = await Gateway.start({
    authorization: 'client-key',
    upstreams: [{ name: 'chat', endpoint: model.url, sk: 'key-of-chat', allow: ['m'] }],
  });
  const response = await gateway.post(
    '/v1/chat/completions',
    { model: 'm', messages: [{ role: 'user', content: 'hello' }] },
    { headers: { authorization: 'Bearer client-key' } },
  );
  assert.equal(response.status, 200);
  const { status, output } = promtool(['check', 'metrics'], await gateway.metrics());
  // Remarks on the names of Node's own metrics are exit code 3.
  const ours = output.split('\n').filter((line) => line.startsWith('tokenferry_'));
  assert.deepEqual(ours, []);
  assert.ok(status === 0 || status === 3, output);
});

test('promtool accepts the alert rules, and their unit tests pass', () => {
  const checked = promtool(['check', 'rules', 'tokenferry.rules.yml']);
  assert.equal(checked.status, 0, checked.output);
  const tested = promtool(['test', 'rules', 'tokenferry.rules.test.yml']);
  assert.equal(tested.status, 0, tested.output);
});

test('each alert rule has a unit test', async () => {
  const { ruleQueries, fileText } = await import('../deployed-queries.ts');
  const tests = fileText('deploy/prometheus/tokenferry.rules.test.yml');
  for (const { place } of ruleQueries()) assert.match(tests, new RegExp(`alertname: ${place}\\b`));
});

test('every query of the dashboard and of docs/metrics.md is valid PromQL', (t) => {
  const rules = [...panelQueries(), ...documentedQueries()].map(({ expr }, index) => ({
    record: `query:${index}`,
    expr: expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '1h'),
  }));
  assert.ok(rules.length > 60);
  const file = join(temporaryDirectory(t), 'queries.yml');
  writeFileSync(file, stringify({ groups: [{ name: 'queries', rules }] }));
  const { status, output } = promtool(['check', 'rules', file]);
  assert.equal(status, 0, output);
});
