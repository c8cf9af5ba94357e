import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { Secret } from '../../../src/lib/secret.ts';
import { HeaderTemplates } from '../../../src/upstream/signing/header-templates.ts';
import { headerOf, type SignableRequest } from '../../../src/upstream/signing/request-signer.ts';

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
const NONE = { headers: {}, query: {}, vars: {}, chainedNames: [] };

function signed(
  settings: Partial<ConstructorParameters<typeof HeaderTemplates>[0]>,
  facts: Partial<SignableRequest> = {},
  values: Record<string, string> = {},
): SignableRequest {
  const request = {
    method: 'POST',
    host: 'llm.corp.example',
    path: '/v1/chat/completions?b=2&a=1%202',
    headers: ['x-app', 'of the client'],
    body: Buffer.from('{"text":"é"}'),
    isJson: true,
    ...facts,
  };
  new HeaderTemplates({ ...NONE, ...settings }).sign(request, { nowWallMs: NOW, values });
  return request;
}

test('an app id, a timestamp, a nonce and an HMAC over them and the digest of the body', () => {
  const { headers, body } = signed({
    headers: {
      'X-App': 'app-1',
      'X-Timestamp': '{{now_s}}',
      'X-Nonce': '{{nonce}}',
      'X-Sign': "{{hmac_sha256(secret, method + '\n' + path + '\n' + now_s + nonce + body_sha256)}}",
      'Content-MD5': '{{body_md5_base64}}',
      Digest: 'SHA-256={{body_sha256_base64}}',
      Date: '{{now_http}}',
    },
    vars: { secret: new Secret('secret-{{not_a_template}}') },
  });
  const nonce = headerOf(headers, 'x-nonce') ?? '';
  const digest = createHash('sha256')
    .update(body ?? '')
    .digest('hex');
  const text = `POST\n/v1/chat/completions\n${NOW / 1000}${nonce}${digest}`;
  assert.equal(
    headerOf(headers, 'x-sign'),
    createHmac('sha256', 'secret-{{not_a_template}}').update(text).digest('hex'),
  );
  assert.match(nonce, /^[0-9a-f]{32}$/);
  assert.equal(headerOf(headers, 'x-app'), 'app-1', "the client's header is replaced");
  assert.equal(
    headerOf(headers, 'content-md5'),
    createHash('md5')
      .update(body ?? '')
      .digest('base64'),
  );
  assert.equal(
    headerOf(headers, 'digest'),
    `SHA-256=${createHash('sha256')
      .update(body ?? '')
      .digest('base64')}`,
  );
  assert.equal(headerOf(headers, 'date'), 'Fri, 02 Jan 2026 03:04:05 GMT');
});

test('parameters of the query are signed sorted, and a client cannot set what is added', () => {
  const { path } = signed(
    { query: { appid: 'a1', sign: '{{md5(sorted_query + key)}}' }, vars: { key: new Secret('k') } },
    { path: '/v1/models?sign=forged&b=2&a=1%202' },
  );
  const sign = createHash('md5').update('a=1%202&appid=a1&b=2k').digest('hex');
  assert.equal(path, `/v1/models?b=2&a=1%202&appid=a1&sign=${sign}`);
});

test('the body as text, and the values of the token source', () => {
  const { headers } = signed(
    { headers: { 'X-Sign': '{{sha1(token + tenant + body)}}' }, chainedNames: ['token', 'tenant'] },
    {},
    { token: 't', tenant: 'n' },
  );
  assert.equal(headerOf(headers, 'x-sign'), createHash('sha1').update('tn{"text":"é"}').digest('hex'));
});

test('a body that is no text is signed by its digest, and refused as text', () => {
  const body = Buffer.from([0xff, 0xfe, 0]);
  const { headers } = signed({ headers: { d: '{{body_sha256}}' } }, { body });
  assert.equal(headerOf(headers, 'd'), createHash('sha256').update(body).digest('hex'));
  assert.throws(() => signed({ headers: { d: '{{md5(body)}}' } }, { body }), /the body is no text/);
});

test('only templates that use the body need all of it', () => {
  const covers = (text: string) => new HeaderTemplates({ ...NONE, headers: { a: text } }).coversBody;
  assert.equal(covers('{{now_s}}'), false);
  assert.equal(covers('{{md5(body)}}'), true);
  assert.equal(covers('{{body_md5_base64}}'), true);
});

test('an unknown name is an error at load, an impossible header value when it is signed', () => {
  assert.throws(() => new HeaderTemplates({ ...NONE, headers: { a: '{{tokn}}' } }), /unknown name tokn/);
  assert.throws(() => signed({ headers: { a: "{{'\\n'}}" } }), /header a: the value has a character/);
});
