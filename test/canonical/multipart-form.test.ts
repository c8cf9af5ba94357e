import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFormBody, readJsonBody } from '../../src/canonical/body-fields.ts';
import { boundaryOf, readFormFields } from '../../src/canonical/multipart-form.ts';
import { cpuMsSince } from '../helpers/cpu-time.ts';
import { randomFrom } from '../helpers/seeded-random.ts';

function fieldsOf(text: string | Buffer, boundary = 'b'): [string, string][] {
  const bytes = Buffer.from(text as string);
  return readFormFields(bytes, boundary).map(({ name, valueStart, valueEnd }) => [
    name,
    bytes.toString('utf8', valueStart, valueEnd),
  ]);
}

test('the boundary is read quoted, bare, behind other parameters, and of form data only', () => {
  for (const [type, boundary] of [
    ['multipart/form-data; boundary=abc', 'abc'],
    ['Multipart/Form-Data;charset=utf-8;  BOUNDARY="a b;c"', 'a b;c'],
    ['multipart/form-data; boundary=----WebKit_7; x=y', '----WebKit_7'],
    ['multipart/form-data', null],
    ['multipart/mixed; boundary=abc', null],
    ['application/json', null],
  ] as const) {
    assert.equal(boundaryOf(type), boundary, type);
  }
});

test('S121 fields are read however their headers are written', () => {
  for (const head of [
    'Content-Disposition: form-data; name="model"',
    'content-disposition:form-data;name=model',
    'Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: form-data; name="model"',
    'CONTENT-DISPOSITION: form-data; name="model"\r\nContent-Length: 7',
    'Content-Disposition: form-data;\r\n name="model"',
  ]) {
    const expected = [['model', 'whisper']];
    assert.deepEqual(fieldsOf(`--b\r\n${head}\r\n\r\nwhisper\r\n--b--\r\n`), expected, head);
    assert.deepEqual(
      fieldsOf(`preamble\r\n--b\r\n${head}\r\n\r\nwhisper\r\n--b--\r\nepilogue`),
      expected,
      head,
    );
  }
});

test('files, parts without a name or without an end are no fields; a value may hold anything', () => {
  const part = (head: string, value: string) =>
    `--b\r\nContent-Disposition: form-data; ${head}\r\n\r\n${value}\r\n`;
  const form = [
    part('name="file"; filename="a.wav"', 'x'),
    part('name="f"; filename*=UTF-8\'\'%e4', 'x'),
    part('', 'x'),
    part('name="empty"', ''),
    part('name="lines"', 'a\r\n\r\nb\n--b'),
    part('name="quo\\"te"', 'q'),
    '--b\r\nno headers at all\r\n',
  ].join('');
  const read = [
    ['empty', ''],
    ['lines', 'a\r\n\r\nb\n--b'],
    ['quo\\"te', 'q'],
  ];
  assert.deepEqual(fieldsOf(`${form}--b--\r\n`), read);
  assert.deepEqual(fieldsOf(`${form}${part('name="cut"', 'without an end')}`), read);
});

test('whatever is cut off a form, what is read of it is the beginning of what all of it says', () => {
  const random = randomFrom(121);
  for (let round = 0; round < 50; round++) {
    const parts = Array.from({ length: 1 + Math.floor(random() * 5) }, (_, index) => {
      const isFile = random() < 0.3;
      const value = Array.from(
        { length: Math.floor(random() * 30) },
        () => '\r\n-b:x'[Math.floor(random() * 6)],
      );
      const file = isFile ? '; filename="f"' : '';
      return `--bb\r\nContent-Disposition: form-data; name="n${index}"${file}\r\n\r\n${value.join('')}\r\n`;
    });
    const form = `${parts.join('')}--bb--\r\n`;
    const all = fieldsOf(form, 'bb');
    for (let end = 0; end < form.length; end++) {
      const read = fieldsOf(form.slice(0, end), 'bb');
      assert.deepEqual(read, all.slice(0, read.length));
    }
  }
});

test('a form of nothing but delimiters, and one of a single endless header, are read in a moment', () => {
  const began = process.cpuUsage();
  assert.deepEqual(fieldsOf('\r\n--b'.repeat(1_000_000)), []);
  assert.deepEqual(fieldsOf(`--b\r\nContent-Disposition: ${'; name='.repeat(1_000_000)}\r\n--b`), []);
  assert.deepEqual(fieldsOf('\r\n--bb'.repeat(1_000_000)), []);
  assert.ok(cpuMsSince(began) < 1_000);
});

test('another model in a form, in JSON with a byte order mark, and in what names none', () => {
  const form = Buffer.from('--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nold\r\n--b--');
  const read = readFormBody(form, 'multipart/form-data; boundary=b', true);
  assert.equal(read.get('model'), 'old');
  assert.equal(read.withModel('néw').toString(), form.toString().replace('old', 'néw'));
  const json = readJsonBody(Buffer.from('\ufeff{"model":"old","é":1.0}'));
  assert.equal(json.withModel('"néw"').toString(), '\ufeff{"model":"\\"néw\\"","é":1.0}');
  for (const text of ['[1]', 'null', '{"model":', '', '{"x":{"model":"old"}}']) {
    const none = readJsonBody(Buffer.from(text));
    assert.equal(none.get('model'), null, text);
    assert.equal(none.withModel('new').toString(), text);
  }
});
