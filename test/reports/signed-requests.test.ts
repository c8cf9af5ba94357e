import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { test } from 'node:test';
import { ask, checkGood, KINDS } from '../behaviour/fault-rig.ts';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { checkSigV4, checkTc3, type KnownCredentials } from '../helpers/signature-checkers.ts';
import { type ReceivedRequest, StandInModel } from '../helpers/stand-in-model.ts';

const AKID: KnownCredentials = { keyId: 'AKIDEXAMPLE', key: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const SIGN_AWS = {
  type: 'aws_sigv4',
  region: 'us-east-1',
  service: 'bedrock',
  key_id: AKID.keyId,
  key: AKID.key,
};
const SIGN_TC3 = { type: 'tc3', service: 'hunyuan', key_id: AKID.keyId, key: AKID.key };

/** An upstream that accepts what is signed right by its own clock. */
class SigningUpstream {
  readonly errors: string[] = [];
  /** Of each request that was accepted. */
  readonly authorizations: string[] = [];
  credentials: readonly KnownCredentials[] = [AKID];
  clockOffsetMs = 0;
  /** Of its `date` header; null: its own clock. */
  dateOffsetMs: number | null = null;
  /** The next requests fail with this status although they are signed right. */
  busy = 0;
  model: StandInModel | null = null;

  get url(): string {
    return this.model?.url ?? '';
  }

  async start(
    check: typeof checkSigV4,
    refuse: (code: string, response: ServerResponse) => void,
  ): Promise<this> {
    this.model = await StandInModel.start({
      reply: 'all is well',
      intercept: (request, response) => {
        const nowMs = Date.now() + this.clockOffsetMs;
        response.setHeader(
          'date',
          new Date(Date.now() + (this.dateOffsetMs ?? this.clockOffsetMs)).toUTCString(),
        );
        const code = check(request, this.credentials, nowMs);
        if (code !== null) {
          this.errors.push(code);
          refuse(code, response);
          return true;
        }
        this.authorizations.push(String(request.headers.authorization));
        if (this.busy > 0) {
          this.busy -= 1;
          response.writeHead(503).end('busy');
          return true;
        }
        return false;
      },
    });
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.model?.close();
  }
}

/** As Bedrock and API Gateway refuse. */
function refuseAsAws(code: string, response: ServerResponse): void {
  const message =
    code === 'ExpiredTokenException' || code === 'UnrecognizedClientException'
      ? 'The security token included in the request is invalid'
      : 'Signature expired: 20150830T123600Z is now earlier than 20150830T124100Z';
  response.writeHead(403, { 'content-type': 'application/json', 'x-amzn-errortype': code });
  response.end(JSON.stringify({ message }));
}

/** Tencent Cloud refuses with a 200. */
function refuseAsTencent(code: string, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ Response: { Error: { Code: code, Message: 'refused' }, RequestId: 'r-1' } }));
}

const SCHEMES = [
  { scheme: 'aws_sigv4', sign: SIGN_AWS, check: checkSigV4, refuse: refuseAsAws },
  { scheme: 'tc3', sign: SIGN_TC3, check: checkTc3, refuse: refuseAsTencent },
] as const;

async function askWell(gateway: Gateway, kinds: readonly (typeof KINDS)[number][] = KINDS): Promise<void> {
  for (const kind of kinds) {
    const { response, text } = await ask(gateway, kind, 'm');
    assert.equal(response.status, 200, text);
    checkGood(kind, text);
  }
}

for (const { scheme, sign, check, refuse } of SCHEMES) {
  test(`${scheme}: every kind of request is signed over its final bytes, path and query`, async () => {
    await using upstream = await new SigningUpstream().start(check, refuse);
    await using gateway = await Gateway.start({
      upstreams: [
        {
          name: 'cloud',
          endpoint: upstream.url,
          sign,
          // Adaptations come first: the signature is over what is sent.
          models: { m: 'a-much-longer-name-of-the-model' },
          query: { 'api-version': '2026-01-01', 'a b': 'c/d~e*' },
          headers: { 'x-tenant': 'corp' },
        },
      ],
    });
    await askWell(gateway);
    const { model } = upstream;
    assert.equal(model?.received[0]?.body.model, 'a-much-longer-name-of-the-model');
    for (const path of ['/v1/batches?limit=2&after=%C3%A9', '/v1/files/a%20b']) {
      const before = upstream.authorizations.length;
      await (await fetch(`${gateway.url}${path}`)).text();
      assert.equal(upstream.authorizations.length, before + 1, path);
    }
    const form = new FormData();
    form.set('purpose', 'batch');
    form.set('file', new Blob([JSON.stringify({ a: 'é' })]), 'a.jsonl');
    await (await fetch(`${gateway.url}/v1/files`, { method: 'POST', body: form })).text();
    assert.deepEqual(upstream.errors, []);
  });

  test(`${scheme}: each attempt is signed anew`, async () => {
    await using first = await new SigningUpstream().start(check, refuse);
    await using second = await new SigningUpstream().start(check, refuse);
    first.busy = 100;
    await using gateway = await Gateway.start({
      retry: { backoff: '20ms' },
      upstreams: [
        { name: 'first', endpoint: first.url, sign },
        {
          name: 'second',
          endpoint: second.url,
          sign: { ...sign, ...(scheme === 'aws_sigv4' ? { region: 'eu-west-1' } : {}) },
        },
      ],
    });
    await askWell(gateway, ['chat']);
    assert.equal(first.authorizations.length >= 1 && second.authorizations.length === 1, true);
    assert.notEqual(first.authorizations[0], second.authorizations[0]);
    assert.deepEqual([...first.errors, ...second.errors], []);
  });

  for (const offsetMinutes of [20, -45]) {
    test(`${scheme}: a clock that is ${offsetMinutes} minutes off costs one second try, and none after it`, async () => {
      await using upstream = await new SigningUpstream().start(check, refuse);
      upstream.clockOffsetMs = offsetMinutes * 60_000;
      await using gateway = await Gateway.start({
        upstreams: [{ name: 'cloud', endpoint: upstream.url, sign }],
      });
      await askWell(gateway);
      assert.equal(upstream.errors.length, 1, upstream.errors.join());
      upstream.clockOffsetMs = 0;
      await askWell(gateway);
      assert.equal(upstream.errors.length, 2, upstream.errors.join());
    });
  }

  test(`${scheme}: a wrong date in a refusal is forgotten when the second try is refused as well`, async () => {
    await using upstream = await new SigningUpstream().start(check, refuse);
    await using gateway = await Gateway.start({
      upstreams: [{ name: 'cloud', endpoint: upstream.url, sign }],
    });
    upstream.credentials = [{ ...AKID, key: 'another' }];
    upstream.dateOffsetMs = 3_600_000;
    const { response, text } = await ask(gateway, 'chat', 'm');
    assert.equal(response.status, 502, text);
    assert.equal(errorIn(text).code, 'upstream_auth_error');
    assert.ok(upstream.errors.length <= 2, upstream.errors.join());
    upstream.credentials = [AKID];
    upstream.dateOffsetMs = null;
    await askWell(gateway, ['chat']);
    assert.ok(upstream.errors.length <= 2, 'signed with the right time at once');
  });

  test(`${scheme}: temporary credentials come from a token source and are renewed when they are refused`, async () => {
    await using upstream = await new SigningUpstream().start(check, refuse);
    let serial = 0;
    const issued: KnownCredentials[] = [];
    await using issuer = await ScriptedIssuer.start({
      body: () => {
        serial += 1;
        const one = {
          keyId: `ASIA${serial}`,
          key: `secret-${serial}`,
          sessionToken: `session-of-${serial}==`,
        };
        issued.push(one);
        upstream.credentials = [one];
        const expiration = new Date(Date.now() + 3_600_000).toISOString();
        return {
          Credentials: {
            AccessKeyId: one.keyId,
            SecretAccessKey: one.key,
            SessionToken: one.sessionToken,
            Expiration: expiration,
          },
        };
      },
    });
    const { key_id: _, key: __, ...scope } = sign;
    await using gateway = await Gateway.start({
      tokens: {
        sts: {
          type: 'http',
          url: issuer.tokenUrl,
          token_at: '/Credentials/SessionToken',
          expires_at: { pointer: '/Credentials/Expiration' },
          extra: { key_id: '/Credentials/AccessKeyId', key: '/Credentials/SecretAccessKey' },
        },
      },
      upstreams: [{ name: 'cloud', endpoint: upstream.url, token: 'sts', sign: scope }],
    });
    await askWell(gateway);
    assert.equal(issued.length, 1);
    for (const request of upstream.model?.received ?? []) {
      assert.doesNotMatch(String(request.headers.authorization), /Bearer|session-of/);
    }
    upstream.credentials = [];
    await askWell(gateway, ['chat']);
    assert.equal(issued.length, 2, 'renewed once');
    await askWell(gateway);
    assert.equal(issued.length, 2);
    assert.doesNotMatch(gateway.log, /secret-\d|session-of/);
  });

  test(`${scheme}: a body that is too large to be kept cannot be signed, and the error says so`, async () => {
    await using upstream = await new SigningUpstream().start(check, refuse);
    await using gateway = await Gateway.start({
      limits: { replay: '1KiB' },
      upstreams: [{ name: 'cloud', endpoint: upstream.url, sign }],
    });
    const response = await gateway.post('/v1/files', 'x'.repeat(50_000), {
      headers: { 'content-type': 'application/octet-stream' },
    });
    const text = await response.text();
    assert.equal(response.status, 413, text);
    assert.match(errorIn(text).message, /limits\.replay/);
  });
}

const SECRET = 'secret-of-the-application';

/** A gateway of the kind "app id, timestamp, nonce, HMAC over them and the body's digest", which accepts each nonce once. */
function appGateway(): { check: (request: ReceivedRequest, _: unknown, nowMs: number) => string | null } {
  const nonces = new Set<string>();
  return {
    check: ({ headers, method, path, text }, _, nowMs) => {
      const nonce = String(headers['x-nonce']);
      const timestamp = Number(headers['x-timestamp']);
      if (nonces.has(nonce)) return 'nonce reused';
      nonces.add(nonce);
      if (!(Math.abs(nowMs / 1000 - timestamp) <= 300)) return 'timestamp expired';
      const digest = createHash('sha256').update(text).digest('hex');
      const signed = [method, path, 'app-1', timestamp, nonce, digest].join('\n');
      const expected = createHmac('sha256', SECRET).update(signed).digest('base64');
      return headers['x-sign'] === expected ? null : 'signature invalid';
    },
  };
}

const SIGN_APP = {
  headers: {
    'X-App-Id': '{{appId}}',
    'X-Timestamp': '{{now_s}}',
    'X-Nonce': '{{nonce}}',
    'X-Sign':
      "{{hmac_sha256(secret, method + '\\n' + path + '\\n' + appId + '\\n' + now_s + '\\n' + nonce + '\\n' + body_sha256, 'base64')}}",
  },
  vars: { appId: 'app-1', secret: SECRET },
};

function refuseAsApp(code: string, response: ServerResponse): void {
  response.writeHead(401, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ error: { message: code } }));
}

test('templates: an app id with a timestamp, a nonce and an HMAC over the body, anew for each attempt', async () => {
  await using upstream = await new SigningUpstream().start(appGateway().check, refuseAsApp);
  await using gateway = await Gateway.start({
    retry: { backoff: '20ms' },
    upstreams: [
      {
        name: 'app',
        endpoint: upstream.url,
        sk: 'key-of-the-application',
        sign: SIGN_APP,
        models: { m: 'other' },
      },
    ],
  });
  await askWell(gateway);
  upstream.busy = 1;
  await askWell(gateway, ['chat']);
  assert.deepEqual(upstream.errors, []);
  const { headers } = upstream.model?.received[0] ?? assert.fail('nothing was received');
  assert.equal(headers.authorization, 'Bearer key-of-the-application', 'the key is sent as well');
  upstream.clockOffsetMs = 600_000;
  await askWell(gateway);
  assert.deepEqual(upstream.errors, ['timestamp expired']);
  assert.doesNotMatch(gateway.log, new RegExp(SECRET));
});

test('templates: without the body in them an upload is streamed and signed', async () => {
  await using upstream = await new SigningUpstream().start(
    ({ headers }) => (headers['x-stamp'] === undefined ? 'missing' : null),
    refuseAsApp,
  );
  await using gateway = await Gateway.start({
    limits: { replay: '1KiB' },
    upstreams: [{ name: 'app', endpoint: upstream.url, sign: { headers: { 'X-Stamp': '{{now_ms}}' } } }],
  });
  const response = await gateway.post('/v1/files', 'x'.repeat(50_000), {
    headers: { 'content-type': 'application/octet-stream' },
  });
  await response.text();
  assert.deepEqual(upstream.errors, []);
  assert.equal(upstream.model?.received[0]?.text.length, 50_000);
});
