import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../helpers/gateway.ts';
import { runService } from '../helpers/run-service.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

/** Own code that gives a token, and leaves a promise behind that fails. */
const CARELESS = `export default () => {
  Promise.reject(new Error('no cache, login with password=not-for-the-log'));
  return { value: 'token-of-own-code', lifetime_ms: 60_000 };
};`;

test('an uncaught error of user code is logged as such, without its secrets, and the service continues', async () => {
  await using model = await StandInModel.start();
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-own-code-'));
  const module = join(folder, 'careless-source.mjs');
  await writeFile(module, CARELESS);
  const service = await runService({
    dbtype: 'none',
    tokens: { own: { type: 'function', module } },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'own' }],
  });
  try {
    await until(() => service.output.includes('uncaught error in'), 'the line');
    assert.match(service.output, /uncaught error in \S*careless-source\.mjs\. Await every promise/);
    assert.match(service.output, /no cache, login with password=\[/);
    assert.doesNotMatch(service.output, /not-for-the-log|defect of tokenferry/);
    assert.ok(service.isRunning);
  } finally {
    await service.stop();
    await rm(folder, { recursive: true });
  }
});
