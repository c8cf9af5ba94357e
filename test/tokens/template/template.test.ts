import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { Secret } from '../../../src/lib/secret.ts';
import { RequestScope } from '../../../src/tokens/template/request-scope.ts';
import {
  Template,
  type TemplateJson,
  TemplateTree,
  type TemplateValue,
} from '../../../src/tokens/template/template.ts';

const NOW = Date.UTC(2026, 0, 1) + 123;

function scope(
  vars: Record<string, string | number | Secret> = {},
  fields: Record<string, TemplateJson> = {},
) {
  return new RequestScope({
    nowWallMs: NOW,
    vars: new Map(Object.entries(vars).map(([name, text]) => [name, Template.compile(text)])),
    fields: new Map(Object.entries(fields).map(([name, json]) => [name, TemplateTree.compile(json)])),
  });
}

function render(text: string, vars: Record<string, string | number | Secret> = {}): TemplateValue {
  return Template.compile(text).render(scope(vars));
}

const hex = (algorithm: string, text: string) => createHash(algorithm).update(text).digest('hex');

const RENDERINGS: readonly [string, TemplateValue][] = [
  ['plain text', 'plain text'],
  ['', ''],
  ['{{now_s}}', 1_767_225_600],
  ['{{now_ms}}', NOW],
  ['{{ now_iso }}', '2026-01-01T00:00:00.123Z'],
  ['{{now_iso_s}}', '2026-01-01T00:00:00Z'],
  ['{{now_ms + 300000}}', NOW + 300_000],
  ['{{now_s}}.', '1767225600.'],
  ['a{{now_s}}b{{now_s}}', 'a1767225600b1767225600'],
  ['{{now_s + -60}}', 1_767_225_540],
  ['{{1 + 2 + 3}}', 6],
  ["{{floor('3.5')}}", 3],
  ["{{'a' + 1 + 2}}", 'a12'],
  ["{{1 + 2 + 'a'}}", '3a'],
  ["{{\"it's\" + '\"' + '\\n'}}", 'it\'s"\n'],
  ["{{'}}' + '{{'}}", '}}{{'],
  ["{{base64('a:b')}}", 'YTpi'],
  ["{{base64url('??>')}}", 'Pz8-'],
  ["{{hex('ab')}}", '6162'],
  ["{{upper(md5('x'))}}", hex('md5', 'x').toUpperCase()],
  ["{{sha1('x')}}", hex('sha1', 'x')],
  ["{{sha256('x')}}", hex('sha256', 'x')],
  ["{{sha512('x')}}", hex('sha512', 'x')],
  ["{{hmac_sha1('k', 'x')}}", createHmac('sha1', 'k').update('x').digest('hex')],
  ["{{hmac_sha256('k', 'x', 'base64')}}", createHmac('sha256', 'k').update('x').digest('base64')],
  ["{{hmac_sha512('k', 'x')}}", createHmac('sha512', 'k').update('x').digest('hex')],
  ["{{urlencode('a b&c')}}", 'a%20b%26c'],
  ["{{json('a\"b')}}", '"a\\"b"'],
  ['{{text(now_s)}}', '1767225600'],
  ["{{number('12') + 1}}", 13],
];

for (const [text, expected] of RENDERINGS) {
  test(`the template ${JSON.stringify(text)} renders`, () => assert.deepEqual(render(text), expected));
}

const MISTAKES: readonly [string, RegExp][] = [
  ['{{now_s', /"\{\{" without its "\}\}"/],
  ['{{}}', /ends too early/],
  ['{{1 +}}', /"1 \+": ends too early/],
  ['{{1 2}}', /unexpected "2"/],
  ['{{md5(1}}', /"\)" is missing/],
  ['{{a ? b}}', /"a \? b": unexpected "\?"; a template consists of names, numbers, 'text', \+ and functions/],
  ['{{shout(1)}}', /unknown function shout\(\); known are base64, /],
  ['{{constructor(1)}}', /unknown function constructor\(\)/],
  ['{{md5()}}', /md5\(\) takes 1 or 2 arguments, not 0/],
  [`{{${'md5('.repeat(40)}1${')'.repeat(40)}}}`, /nested too deep/],
  // Arithmetic beyond `+` is no part of the language.
  ['{{now_s - 60}}', /unexpected "-"/],
  ['{{now_ms / 1000}}', /unexpected "\/"/],
  ['{{2 * 3}}', /unexpected "\*"/],
  ['{{7 % 2}}', /unexpected "%"/],
  ['{{(1 + 2)}}', /unexpected "\("/],
];

for (const [text, expected] of MISTAKES) {
  test(`the template ${text.slice(0, 20)} is refused when it is compiled`, () =>
    assert.throws(() => Template.compile(text), expected));
}

test('a template lists the names that it uses', () => {
  assert.deepEqual([...Template.compile('{{md5(a + b)}}{{c}}').names], ['a', 'b', 'c']);
});

test('an unknown name, a wrong number and a wrong form are errors without values', () => {
  assert.throws(() => render('{{missing}}'), /^TemplateError: unknown name missing$/);
  assert.throws(
    () => render('{{number(secret)}}', { secret: 'hush-hush' }),
    /^TemplateError: number\(\) and floor\(\) need a number$/,
  );
  assert.throws(() => render("{{md5('a', 'rot13')}}"), /must be 'hex'/);
});

test('variables may be templates; secrets are used literally', () => {
  assert.equal(render('{{greeting}}', { greeting: 'at {{now_s}}' }), 'at 1767225600');
  assert.equal(render('{{secret}}', { secret: new Secret('{{now_s}}') }), '{{now_s}}');
});

test('a variable hides a built-in name', () =>
  assert.equal(render('{{nonce}}', { nonce: 'fixed' }), 'fixed'));

test('nonce, uuid and the time are the same throughout one request', () => {
  const request = scope({ again: '{{nonce}}{{uuid}}' });
  const template = Template.compile('{{nonce}}{{uuid}}');
  assert.equal(template.render(request), Template.compile('{{again}}').render(request));
  assert.notEqual(template.render(request), template.render(scope()));
  assert.match(render('{{uuid}}') as string, /^[0-9a-f]{8}-[0-9a-f]{4}-4/);
});

test('in JSON a single expression keeps its type, keys and other values stay', () => {
  const tree = TemplateTree.compile({
    n: '{{now_s}}',
    s: 'at {{now_s}}',
    l: [1, null, true, '{{1 + 1}}'],
    __proto__x: {},
  });
  assert.deepEqual(tree.render(scope()), {
    n: 1_767_225_600,
    s: 'at 1767225600',
    l: [1, null, true, 2],
    __proto__x: {},
  });
});

test('fields of a body may be used by name in each other', () => {
  const fields = { appId: 'a1', ts: '{{now_s}}', sign: '{{hmac_sha256(secret, appId + ts)}}' };
  const sign = createHmac('sha256', 'key').update('a11767225600').digest('hex');
  assert.equal(scope({ secret: new Secret('key') }, fields).valueOf('sign'), sign);
});

test('a variable may carry the name of the field that it fills', () => {
  const request = scope({ appId: 'a1' }, { appId: '{{appId}}', sign: '{{sorted_params}}' });
  assert.equal(request.valueOf('sign'), 'appId=a1');
  const sign = TemplateTree.compile('{{sorted_params}}');
  assert.equal(request.compute('x-sign', sign), 'appId=a1&sign=appId=a1');
});

test('sorted_params joins all fields but empty ones and the one being computed', () => {
  const fields = { b: 2, a: 'x y', empty: '', nested: { z: 1 }, sign: '{{md5(sorted_params)}}' };
  assert.equal(scope({}, fields).valueOf('sign'), hex('md5', 'a=x y&b=2&nested={"z":1}'));
});

test('a field that needs itself is an error', () => {
  assert.throws(
    () => scope({}, { a: '{{b}}', b: '{{a}}' }).valueOf('a'),
    /circular reference: a needs its own value/,
  );
});

test('body_sha256 is known once the body is final', () => {
  const request = scope();
  assert.throws(() => request.valueOf('body_sha256'), /in headers and query only/);
  request.body = '{}';
  assert.equal(request.valueOf('body_sha256'), hex('sha256', '{}'));
});
