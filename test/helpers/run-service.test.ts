import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { runService } from './run-service.ts';
import { StandInModel } from './stand-in-model.ts';

test('the gateway runs as a separate process, responds, and ends with code 0', async (t) => {
  const model = await StandInModel.start({ isLive: (token) => token === 'sk-upstream' });
  t.after(() => model.close());
  const service = await runService(
    {
      authorization: 'sk-client',
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the configuration's own syntax
      upstreams: [{ name: 'a', endpoint: model.url, sk: '${UPSTREAM_KEY}', allow: ['stand-in'] }],
      dbtype: 'none',
    },
    { env: { UPSTREAM_KEY: 'sk-upstream' } },
  );
  t.after(() => service.stop());
  const response = await fetch(`${service.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: 'Bearer sk-client', 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'stand-in', messages: [{ role: 'user', content: 'hello' }] }),
  });
  assert.equal(response.status, 200, service.output);
  assert.match(await response.text(), /The ferry crosses/);
  assert.equal(await service.stop(), 0);
  assert.match(service.stdout, /"path":"\/v1\/chat\/completions"/);
  assert.equal(existsSync(service.folder), false);
});

test('a start that fails throws with what the process printed', async () => {
  await assert.rejects(runService({ upstreamz: [] }), /exited while starting:.*upstreamz/s);
});
