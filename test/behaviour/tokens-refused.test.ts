import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { answering, httpAnswer, RawUpstream } from '../helpers/raw-upstream.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, checkGood, KINDS, LIMITS } from './fault-rig.ts';
import { type TokenSceneOptions, withTokens } from './token-scene.ts';

test('#10 fifty requests with one revoked token: one renewal, fifty replays, no failure', async () => {
  await withTokens({ issuer: { delayMs: 50 } }, async ({ gateway, issuer, model }) => {
    await ask(gateway, 'chat', 'm');
    issuer.revokeAll();
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => ask(gateway, KINDS[index % KINDS.length] ?? 'chat', 'm')),
    );
    for (const { response, text } of answers) assert.equal(response.status, 200, text);
    assert.equal(issuer.callCount, 2);
    assert.equal(model.received.length, 1 + 50 + model.refused);
    assert.ok(model.refused <= 50);
    await until(() => gateway.log.includes('rejected the token'), 'a line in the log');
    assert.equal(gateway.log.split('rejected the token').length - 1, 1, 'one line, not one for each request');
  });
});

test('#16 tokens that are revoked again and again under load: no failure, and only requests on their way are replayed', async () => {
  await withTokens({ issuer: { exclusive: true }, source: { rotation: 'exclusive' } }, async (parts) => {
    const { gateway, issuer, model } = parts;
    await ask(gateway, 'chat', 'm');
    let isRotating = true;
    let served = 0;
    const client = async (kind: (typeof KINDS)[number]): Promise<void> => {
      while (isRotating) {
        const { response, text } = await ask(gateway, kind, 'm');
        assert.equal(response.status, 200, text);
        served += 1;
      }
    };
    const clients = Promise.all([...KINDS, ...KINDS].map(client));
    for (let rotation = 0; rotation < 5; rotation++) {
      const before = issuer.issuedCount;
      issuer.revokeAll();
      while (issuer.issuedCount === before) await new Promise((resolve) => setTimeout(resolve, 20));
      // A request has one replay: until those of this rotation have had theirs, the next one would be a second.
      const rotated = served;
      while (served < rotated + 2 * KINDS.length * 2) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    isRotating = false;
    await clients;
    // Six clients: of each revocation at most the requests on their way see it.
    assert.ok(model.refused <= 5 * 6, `${model.refused} refusals in ${served} requests`);
  });
});

test('#13 a replay that returns 400 shows that the new token was accepted: later revocations are renewed as well', async () => {
  let isInvalid = true;
  const options: TokenSceneOptions = {
    model: (issuer) => ({
      intercept: ({ token }, response) => {
        if (!isInvalid || !issuer.isLive(token)) return false;
        response.writeHead(400, { 'content-type': 'application/json' });
        response.end('{"error":{"message":"temperature is too high","type":"invalid_request_error"}}');
        return true;
      },
    }),
  };
  await withTokens(options, async ({ gateway, issuer }) => {
    for (let revocation = 0; revocation < 2; revocation++) {
      issuer.revokeAll();
      assert.equal((await ask(gateway, 'chat', 'm')).response.status, 400);
    }
    isInvalid = false;
    issuer.revokeAll();
    const { response, text } = await ask(gateway, 'chat', 'm');
    assert.equal(response.status, 200, text);
  });
});

const REFUSAL_IN_200 = '{"error_code":111,"error_msg":"Access token expired"}';

for (const [what, body] of [
  ['a JSON body', REFUSAL_IN_200],
  ['the first event of a stream', `data: ${REFUSAL_IN_200}\n\n`],
] as const) {
  test(`#33 a rejection with status 200, in ${what}, is renewed and replayed; the client sees only the second response`, async () => {
    const refused = new Set<string>();
    const options: TokenSceneOptions = {
      source: { reject: { body: [{ '/error_code': [110, 111] }] } },
      model: (issuer) => ({
        isLive: () => true,
        intercept: (request, response) => {
          if (issuer.isLive(request.token)) return false;
          refused.add(request.token);
          const type = body.startsWith('data:') ? 'text/event-stream' : 'application/json';
          response.writeHead(200, { 'content-type': type });
          response.end(body);
          return true;
        },
      }),
    };
    await withTokens(options, async ({ gateway, issuer }) => {
      for (const kind of body.startsWith('data:') ? (['stream'] as const) : KINDS) {
        await ask(gateway, kind, 'm');
        issuer.revokeAll();
        const { response, text } = await ask(gateway, kind, 'm');
        assert.equal(response.status, 200, text);
        checkGood(kind, text);
        assert.ok(!text.includes('error_code'), text);
        assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
      }
      assert.equal(refused.size, issuer.callCount - 1);
    });
  });
}

test('#35 an upload that is streamed through is not sent twice: its rejected token is renewed, and the client may send it again', async () => {
  await withTokens({ config: { limits: { replay: '1KiB' } } }, async ({ gateway, issuer, model }) => {
    await ask(gateway, 'chat', 'm');
    const callsBefore = issuer.callCount;
    issuer.revokeAll();
    const send = () =>
      gateway.post('/v1/files', 'x'.repeat(100_000), {
        headers: { 'content-type': 'application/octet-stream' },
      });
    const upload = await send();
    const text = await upload.text();
    assert.equal(upload.status, 503, text);
    assert.equal(errorIn(text).code, 'upstream_auth_unavailable');
    assert.equal(upload.headers.get('retry-after'), '1');
    assert.equal(upload.headers.get('x-should-retry'), null);
    assert.equal(model.received.filter(({ path }) => path === '/v1/files').length, 1);
    // The rejection was reported: the token is renewed, and the upstream, which has no files, does not cool down.
    const again = await send();
    assert.equal(again.status, 404, await again.text());
    assert.equal(again.headers.get('x-tokenferry-attempts'), '1');
    assert.equal(issuer.callCount, callsBefore + 1);
    assert.deepEqual((await gateway.readiness()).degraded, []);
    // What fits into memory is replayed.
    const small = await gateway.post('/v1/files', 'x'.repeat(500), {
      headers: { 'content-type': 'application/octet-stream' },
    });
    await small.text();
    const sent = model.received.filter(({ text: body }) => body.length === 500);
    assert.equal(sent.at(-1) !== undefined && issuer.isLive(sent.at(-1)?.token ?? ''), true);
  });
});

test('#33 a rejection with status 200 on a path that is passed through is renewed and replayed', async () => {
  const options: TokenSceneOptions = {
    source: { reject: { body: [{ '/error_code': [111] }] } },
    model: (issuer) => ({
      isLive: () => true,
      intercept: (request, response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(issuer.isLive(request.token) ? '{"data":[]}' : REFUSAL_IN_200);
        return true;
      },
    }),
  };
  await withTokens(options, async ({ gateway, issuer }) => {
    for (const _round of [1, 2]) {
      issuer.revokeAll();
      const response = await fetch(`${gateway.url}/v1/files`);
      assert.equal(await response.text(), '{"data":[]}');
      assert.equal(response.headers.get('x-tokenferry-attempts'), '1');
    }
  });
});

test('a rejection in the middle of a stream cannot be replayed, but the token is renewed for the next request', async () => {
  let isRejecting = true;
  const options: TokenSceneOptions = {
    model: () => ({
      intercept: (_request, response) => {
        if (!isRejecting) return false;
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(
          'data: {"id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":"all "}}]}\n\n',
        );
        response.end('data: {"error":{"message":"token expired","code":401}}\n\n');
        return true;
      },
    }),
  };
  await withTokens(options, async ({ gateway, issuer }) => {
    const { text } = await ask(gateway, 'stream', 'm');
    assert.match(text, /"error"/);
    isRejecting = false;
    await until(() => issuer.callCount === 2, 'the token is renewed');
    assert.equal((await ask(gateway, 'stream', 'm')).response.status, 200);
  });
});

test('#32 a redirect of the upstream is not followed, and its token is sent nowhere else', async () => {
  const other = await StandInModel.start();
  await using upstream = await RawUpstream.start(
    answering(httpAnswer('', { status: 307, headers: { location: `${other.url}/chat/completions` } })),
  );
  await using issuer = await ScriptedIssuer.start();
  await using gateway = await Gateway.start({
    ...LIMITS,
    tokens: { corp: issuer.source },
    upstreams: [{ name: 'lone', endpoint: upstream.url, token: 'corp' }],
  });
  const { response, text } = await ask(gateway, 'chat', 'm');
  assert.equal(response.status, 502, text);
  assert.equal(other.received.length, 0);
  await other.close();
});
