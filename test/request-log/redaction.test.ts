import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  cutToBytes,
  redactBody,
  shortenForQueue,
  withoutDataUris,
  withoutEmails,
  withoutKeys,
} from '../../src/request-log/redaction.ts';
import { cpuMsSince } from '../helpers/cpu-time.ts';

test('key-like strings go', () => {
  const keys = [
    'sk-proj-abcdefghijklmnop1234567890',
    'sk-ant-api03-abcdefghijklmnop-qrst_uv',
    'ghp_abcdefghijklmnopqrstuvwxyz0123456789',
    'glpat-abcdefghij1234567890',
    'xoxb-123456789012-abcdefghijkl',
    'hf_abcdefghijklmnopqrstuvwxyz',
    'AKIAIOSFODNN7EXAMPLE',
    'AIzaSyA-1234567890abcdefghijklmnopqrstu',
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P',
  ];
  for (const key of keys) {
    assert.equal(withoutKeys(`use ${key}, please`), 'use [redacted], please', key);
    assert.equal(withoutKeys(JSON.stringify({ content: key })), '{"content":"[redacted]"}', key);
  }
  const pem = '-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----';
  assert.equal(withoutKeys(`a ${pem} b`), 'a [redacted] b');
  assert.equal(withoutKeys('a -----BEGIN PRIVATE KEY-----\nMIIEow and no end'), 'a [redacted]');
});

test('what follows an authorization scheme or a telling name goes, the name stays', () => {
  assert.equal(withoutKeys('Authorization: Bearer abc.def-ghi_jkl'), 'Authorization: Bearer [redacted]');
  assert.equal(
    withoutKeys('{"api_key": "hunter2", "user": "ann"}'),
    '{"api_key": "[redacted]", "user": "ann"}',
  );
  assert.equal(
    withoutKeys('{"x":"{\\"password\\":\\"hunter2\\"}"}'),
    '{"x":"{\\"password\\":\\"[redacted]\\"}"}',
  );
});

test('ordinary text about keys, risks and tokens stays', () => {
  const text =
    'The task-force asked: a bearer of news; sk-short; basic idea; {"max_tokens": 5, "secretary": "Ann"}';
  assert.equal(withoutKeys(text), text);
});

test('emails go, other uses of @ stay', () => {
  assert.equal(withoutEmails('to ann.b+c@mail.corp.example.'), 'to [email].');
  assert.equal(withoutEmails('<ann@corp.example>'), '<[email]>');
  const text = 'npm i @scope/name@1.2.3 and user@localhost or a @ b';
  assert.equal(withoutEmails(text), text);
});

test('a data URI becomes its type and size', () => {
  assert.equal(withoutDataUris('"data:image/png;base64,QUJD"'), '"[data image/png 3 bytes]"');
  assert.equal(withoutDataUris('data:;base64,QUI='), '[data text/plain 2 bytes]');
  assert.equal(withoutDataUris('data:audio/wav;codecs=1;base64,QQ== next'), '[data audio/wav 1 bytes] next');
  assert.equal(withoutDataUris('data: {"delta":";base64,"}'), 'data: {"delta":";base64,"}');
});

test('an image does not use up the room of the text after it', () => {
  const body = `{"image":"data:image/png;base64,${'A'.repeat(100_000)}","text":"what is this?"}`;
  assert.equal(
    redactBody(body, { maxBytes: 100 }),
    '{"image":"[data image/png 75000 bytes]","text":"what is this?"}',
  );
});

test('a body is cut between two characters and says how long it was', () => {
  assert.equal(redactBody('🙂'.repeat(10), { maxBytes: 10 }), '🙂🙂… [40 bytes, cut at 10]');
  assert.equal(redactBody('x'.repeat(10), { maxBytes: 10 }), 'x'.repeat(10));
  for (let bytes = 0; bytes < 12; bytes++) {
    const cut = cutToBytes('aé模🙂z', bytes);
    assert.ok(Buffer.byteLength(cut) <= bytes && 'aé模🙂z'.startsWith(cut), String(bytes));
  }
  assert.equal(cutToBytes('aé模🙂z', 11), 'aé模🙂z');
});

test('a key on the edge of the cut is gone and not cut in half', () => {
  const body = `${'x '.repeat(45)}sk-${'k'.repeat(48)} ${'y'.repeat(50_000)}`;
  const kept = redactBody(body, { maxBytes: 100 });
  assert.ok(!kept.includes('kk'), kept);
});

test('a long body is shortened before it waits, and the result of the redaction stays the same', () => {
  const body = `${'word '.repeat(40_000)}`;
  const short = shortenForQueue(body, 1_000);
  assert.ok(short.length < 6_000);
  const kept = redactBody(short, { maxBytes: 1_000 });
  assert.ok(kept.startsWith('word word') && Buffer.byteLength(kept) < 1_100);
  assert.equal(shortenForQueue('short', 1_000), 'short');
});

test('redaction takes linear time on text made to be slow', () => {
  const nasty = [
    'a',
    'a.',
    'eyJ',
    'eyJa.',
    'a@',
    '@a.',
    'sk-',
    'data:',
    'data:a/b;',
    'data:;base64,',
    '-----BEGIN ',
    'bearer ',
    '"secret":"',
    '\\"secret',
  ];
  for (const piece of nasty) {
    const text = piece.repeat(Math.ceil(65_536 / piece.length));
    const began = process.cpuUsage();
    redactBody(text, { maxBytes: 65_536 });
    const tookMs = cpuMsSince(began);
    assert.ok(tookMs < 250, `${JSON.stringify(piece)} took ${tookMs.toFixed(0)} ms`);
  }
});
