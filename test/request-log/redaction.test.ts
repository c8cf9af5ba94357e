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

test('strings that look like keys are redacted', () => {
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

test('the value after an authorization scheme or a name such as password is redacted, the name stays', () => {
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

test('e-mail addresses are redacted, other uses of @ stay', () => {
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

test('a data URI becomes its type and size in any encoding', () => {
  for (const [text, kept] of [
    ['"data:text/plain,secret%20words"', '"[data text/plain 12 bytes]"'],
    ['"data:,secret"', '"[data text/plain 6 bytes]"'],
    ['"data:;charset=utf-8,secret"', '"[data text/plain 6 bytes]"'],
    ['"DATA:Text/HTML;charset=utf-8,<b>\\"a\\"</b> c"', '"[data Text/HTML 12 bytes]"'],
    [
      `{"url":"data:image/svg+xml;utf8,<svg xmlns='http://x' width=\\"1\\"> </svg>","n":1}`,
      '{"url":"[data image/svg+xml 39 bytes]","n":1}',
    ],
    [
      `"![a](data:image/svg+xml,<svg a='b' c=\\"d\\"/>) and words"`,
      '"![a]([data image/svg+xml 18 bytes]) and words"',
    ],
    [
      '"url(\\"data:image/svg+xml,%3Csvg/%3E\\") and words"',
      '"url(\\"[data image/svg+xml 6 bytes]\\") and words"',
    ],
    [`"url('data:text/css,a b') c"`, `"url('[data text/css 3 bytes]') c"`],
    ['"see\\ndata:text/plain,abc\\nand words"', '"see\\n[data text/plain 3 bytes]\\nand words"'],
    ['see data:text/plain,abc and words', 'see [data text/plain 3 bytes] and words'],
    ['"data:image\\/png;base64,QU\\/D"', '"[data image/png 3 bytes]"'],
    ['"data:application/pdf;name=my_f%20(1).pdf;base64,QUJD"', '"[data application/pdf 3 bytes]"'],
    ['"data:text/plain;charset=\\"utf-8\\";base64,QUJD"', '"[data text/plain 3 bytes]"'],
    [`"data:image/png;base64,${`${'QUJD'.repeat(19)}\\r\\n`.repeat(2)}QQ=="`, '"[data image/png 115 bytes]"'],
    ['"data:image/png;base64,QUJD\\nWhat is it?"', '"[data image/png 3 bytes]\\nWhat is it?"'],
    ['"data:text/plain,cut off', '"[data text/plain 7 bytes]'],
    [
      '"data:text/plain,a","b":"data:text/plain,"',
      '"[data text/plain 1 bytes]","b":"[data text/plain 0 bytes]"',
    ],
  ] as const)
    assert.equal(withoutDataUris(text), kept, text);
});

test('text that only looks like a data URI stays', () => {
  for (const text of [
    'data: {"a":1,"b":2}\n\ndata:{"a":1,"b":2}\n\ndata:[1,2]\n\ndata:1,2',
    '{"metadata:text/plain,x":1}',
    'my data:, and more',
    '"the data:image/png format, and others"',
    '"data":"a/b,c"',
  ])
    assert.equal(withoutDataUris(text), text);
});

test('an image does not use up the room of the text after it', () => {
  const body = `{"image":"data:image/png;base64,${'A'.repeat(100_000)}","text":"what is this?"}`;
  assert.equal(
    redactBody(body, { maxBytes: 100 }),
    '{"image":"[data image/png 75000 bytes]","text":"what is this?"}',
  );
});

test('a body is cut between two characters, with its length', () => {
  assert.equal(redactBody('🙂'.repeat(10), { maxBytes: 10 }), '🙂🙂… [40 bytes, cut at 10]');
  assert.equal(redactBody('x'.repeat(10), { maxBytes: 10 }), 'x'.repeat(10));
  for (let bytes = 0; bytes < 12; bytes++) {
    const cut = cutToBytes('aé模🙂z', bytes);
    assert.ok(Buffer.byteLength(cut) <= bytes && 'aé模🙂z'.startsWith(cut), String(bytes));
  }
  assert.equal(cutToBytes('aé模🙂z', 11), 'aé模🙂z');
});

test('a key on the edge of the cut is removed completely', () => {
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

test('a data URI of megabytes is removed completely, in any encoding', () => {
  for (const data of [
    `;base64,${'QUJD'.repeat(4_000_000)}`,
    `;base64,${`${'QUJD'.repeat(16)}\\/`.repeat(200_000)}`,
    `,${'%41'.repeat(4_000_000)}`,
    `,${'\\"a'.repeat(4_000_000)}`,
  ]) {
    const began = process.cpuUsage();
    assert.match(
      withoutDataUris(`{"a":"data:x/y${data}","b":1}`),
      /^\{"a":"\[data x\/y \d+ bytes\]","b":1\}$/,
    );
    assert.ok(cpuMsSince(began) < 3_000);
  }
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
    'data:a/b,x ',
    '"data:a/b,x',
    '\\"data:a/b,',
    "'data:a/b,\\\\",
    '(data:a/b,\\n',
    'data:a/b;x=y;x=y;x=y;x=y',
    'data:a/b;base64,AAAA\\n',
    '\\/',
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
