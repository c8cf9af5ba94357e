import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { exchangeRaw, rawPost } from '../helpers/raw-client.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

let model: StandInModel;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start();
  gateway = await Gateway.start({
    record: { keep_headers: ['user-agent', 'x-kept'] },
    upstreams: [{ name: 'one', endpoint: model.url, sk: 'upstream-key' }],
  });
});

after(async () => {
  await gateway.close();
  await model.close();
});

test('a name that is too long is no model', async () => {
  const name = 'm'.repeat(2_048);
  for (const path of ['/v1/chat/completions', '/v1/embeddings', '/v1/images/generations']) {
    const before = model.received.length;
    const refused = await exchangeRaw(gateway.port, rawPost(path, `{"model":"${name}m"}`));
    assert.equal(refused.status, 404, path);
    assert.equal(errorIn(refused.body).code, 'model_not_found');
    assert.ok(refused.body.length < 1_000);
    assert.equal(model.received.length, before);
  }
  const served = await exchangeRaw(
    gateway.port,
    rawPost('/v1/chat/completions', `{"model":"${name}","messages":[{"role":"user","content":"hi"}]}`),
  );
  assert.equal(served.status, 200, served.text);
  assert.match(model.received.at(-1)?.text ?? '', new RegExp(name));
});

test('long paths, names and headers of clients are cut in the record, the log and the metrics', async () => {
  const count = gateway.rows().length;
  const long = 'x'.repeat(20_000);
  await exchangeRaw(
    gateway.port,
    `GET /v1/files/${long} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: ${long}\r\nX-Kept: ${long}\r\n\r\n`,
  );
  await exchangeRaw(
    gateway.port,
    rawPost(
      '/v1/chat/completions',
      `{"model":"${'y'.repeat(2_000)}","messages":[{"role":"user","content":"hi"}]}`,
    ),
  );
  await until(() => gateway.rows().length >= count + 2, 'both records');
  for (const row of gateway.rows()) {
    for (const [column, value] of Object.entries(row)) {
      assert.ok(String(value).length < 3_000, `${column}: ${String(value).length}`);
    }
  }
  assert.doesNotMatch(await gateway.metrics(), /[xy]{1025}/);
  await gateway.end();
  assert.doesNotMatch(gateway.log, /[xy]{1025}/);
});
