import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerOf, type SignableRequest } from '../../../src/upstream/signing/request-signer.ts';
import { Tc3 } from '../../../src/upstream/signing/tc3.ts';

/** The worked example of "Signature v3" in Tencent Cloud's documentation, with the keys of its EXAMPLE edition. */
const DOCUMENTED = {
  credentials: { keyId: 'AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE', key: 'Gu5t9xGARNpq86cd98joQYCN3EXAMPLE' },
  nowWallMs: 1_551_113_065_000,
  body: '{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}',
};

function signed(
  request: Partial<SignableRequest> = {},
  action: string | null = 'DescribeInstances',
): SignableRequest {
  const signer = new Tc3({
    service: 'cvm',
    action,
    version: '2017-03-12',
    region: 'ap-guangzhou',
    credentials: DOCUMENTED.credentials,
  });
  const signable: SignableRequest = {
    method: 'POST',
    host: 'cvm.tencentcloudapi.com',
    path: '/',
    headers: ['content-type', 'application/json; charset=utf-8'],
    body: DOCUMENTED.body,
    isJson: true,
    ...request,
  };
  signer.sign(signable, { nowWallMs: DOCUMENTED.nowWallMs, values: {} });
  return signable;
}

test('the documented example', () => {
  assert.equal(
    headerOf(signed({}, null).headers, 'authorization'),
    'TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, SignedHeaders=content-type;host, Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168',
  );
});

test('the common parameters are headers, and the action is signed', () => {
  const { headers } = signed();
  assert.match(headerOf(headers, 'authorization') ?? '', /SignedHeaders=content-type;host;x-tc-action, /);
  assert.equal(headerOf(headers, 'x-tc-timestamp'), '1551113065');
  assert.equal(headerOf(headers, 'x-tc-action'), 'DescribeInstances');
  assert.equal(headerOf(headers, 'x-tc-version'), '2017-03-12');
  assert.equal(headerOf(headers, 'x-tc-region'), 'ap-guangzhou');
});

test('the body as text and as bytes has the same signature; another byte another one', () => {
  const bytes = signed({ body: Buffer.from(DOCUMENTED.body) });
  assert.equal(headerOf(bytes.headers, 'authorization'), headerOf(signed().headers, 'authorization'));
  const other = signed({ body: `${DOCUMENTED.body} ` });
  assert.notEqual(headerOf(other.headers, 'authorization'), headerOf(signed().headers, 'authorization'));
});

test('a request without a content-type gets the one that is signed', () => {
  const { headers } = signed({ method: 'GET', headers: [], body: null });
  assert.equal(headerOf(headers, 'content-type'), 'application/x-www-form-urlencoded');
});
