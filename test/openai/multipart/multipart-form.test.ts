import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { boundaryOf, readForm } from '../../../src/openai/multipart/multipart-form.ts';
import { readFormBody, readJsonBody } from '../../../src/openai/request/body-fields.ts';
import { cpuMsSince } from '../../helpers/cpu-time.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';

function fieldsOf(text: string | Buffer, boundary = 'b', isWhole = true): [string, string][] {
  const bytes = Buffer.from(text as string);
  const { fields } = readForm(bytes, `multipart/form-data; boundary=${boundary}`, isWhole);
  return fields.map(({ name, valueStart, valueEnd }) => [name, bytes.toString('utf8', valueStart, valueEnd)]);
}

/** A part of a form with the boundary `b`, from its delimiter to the line end before the next one. */
function part(parameters: string, value = 'x', more = ''): string {
  return `--b\r\nContent-Disposition: form-data; ${parameters}${more}\r\n\r\n${value}\r\n`;
}

const MODEL = part('name="model"', 'whisper');

/** The words of the refusal; null: the form is taken. */
function refusalOf(text: string | Buffer, type = 'multipart/form-data; boundary=b'): string | null {
  try {
    readForm(Buffer.from(text as string), type, true);
    return null;
  } catch (error) {
    assert.ok(error instanceof FerryError && error.kind === 'invalid_request', String(error));
    return error.message;
  }
}

test('the boundary is parsed quoted, bare, after other parameters, and only of form data', () => {
  for (const [type, boundary] of [
    ['multipart/form-data; boundary=abc', 'abc'],
    ['Multipart/Form-Data;charset=utf-8;  BOUNDARY="a b,c"', 'a b,c'],
    ['multipart/form-data; boundary=----=_Part_1_2.3;', '----=_Part_1_2.3'],
    ['multipart/form-data; boundary="----WebKitFormBoundaryX"; charset="utf-8"', '----WebKitFormBoundaryX'],
    ['multipart/form-data; boundary=----WebKit_7; x=y', '----WebKit_7'],
    ['multipart/form-data', null],
    ['multipart/mixed; boundary=abc', null],
    ['application/json', null],
  ] as const) {
    assert.equal(boundaryOf(type), boundary, type);
  }
});

test('a content-type in which parsers would find different boundaries is refused', () => {
  for (const parameters of [
    'boundary=x; boundary=b',
    'boundary=b; BOUNDARY = x',
    'a="; boundary=x"; boundary=b',
    'a=boundary; boundary=b',
    'a="x\\"; boundary=x; c="; boundary=b',
    "boundary=b; boundary*=utf-8''x",
    "boundary*=utf-8''b",
    'boundary*0=x; boundary*1=y',
    'boundary="b\\x"',
    'boundary="b;x"',
    'boundary="b "',
    'boundary=b,x',
    'boundary=b x',
    'boundary=b; x',
    'boundary="b',
    'boundary=',
    'boundary=\u00e9',
  ]) {
    const type = `multipart/form-data; ${parameters}`;
    assert.match(refusalOf(`${MODEL}--b--\r\n`, type) ?? 'taken', /exactly one plain boundary/, type);
  }
});

test('a part that a parser could treat as the model, and is not the one plain field, is refused', () => {
  const disposition = 'Content-Disposition: form-data; name="model"';
  const others = [
    part('name="model"; filename=""', 'denied'),
    part('name="model"; filename', 'denied'),
    part('name="model"; filename*=utf-8\'\'a', 'denied'),
    part('name="model"; filename="a"', 'denied'),
    part("name*=utf-8''model", 'denied'),
    part('name*0="mo"; name*1="del"', 'denied'),
    part('name="x"; name="model"', 'denied'),
    part('name="mod\\el"', 'denied'),
    part('name="mod%65l"', 'denied'),
    part('name="=?utf-8?B?bW9kZWw=?="', 'denied'),
    part('name="Model"', 'denied'),
    part('name=MODEL', 'denied'),
    part("name='model'", 'denied'),
    part('name=" model"', 'denied'),
    part('name="model[]"', 'denied'),
    part('name="model[x]"', 'denied'),
    part('name="model\u0000x"', 'denied'),
    part('x="; name=\\"a"; name="model"', 'denied'),
    part('x="; name=model"; name="y"', 'denied'),
    part('filename="a\\"; name=\\"model\\"; x="', 'denied'),
    part('name="model', 'denied'),
    part('name="a"', 'denied', `\r\n${disposition}`),
    part('name="a"', 'denied', `\r\n ${disposition}`),
    part('name="a"', 'denied', `\n${disposition}`),
    part('name="a"', 'denied', `\r${disposition}`),
    `--b\r\nContent-Disposition : form-data; name="model"\r\n\r\ndenied\r\n`,
    `--b\r\n ${disposition}\r\n\r\ndenied\r\n`,
    `--b\r\nContent-Disposition: attachment; name="model"\r\n\r\ndenied\r\n`,
    `--b\r\nX: ${'x'.repeat(16 * 1024)}\r\n${disposition}\r\n\r\ndenied\r\n`,
    part('name="model"', 'denied'),
  ];
  for (const other of others) {
    assert.notEqual(refusalOf(`${MODEL}${other}--b--\r\n`), null, other.slice(0, 200));
    assert.notEqual(refusalOf(`${other}${MODEL}--b--\r\n`), null, other.slice(0, 200));
  }
  for (const more of [
    '\r\nContent-Transfer-Encoding: base64',
    '\r\ncontent-transfer-encoding : quoted-printable',
    '\r\nContent-Type: text/plain; charset=utf-7',
  ])
    assert.match(refusalOf(`${part('name="model"', 'eA==', more)}--b--`) ?? 'taken', /plain field/, more);
  const many = Array.from({ length: 1_000 }, (_, position) => part(`name="n${position}"`)).join('');
  assert.match(refusalOf(`${MODEL}${many}${MODEL}--b--`) ?? 'taken', /1000 parts/);
});

test('a form that parsers would split in different places is refused', () => {
  const model = MODEL.slice(5);
  const file = (content: string) => `${MODEL}${part('name="file"; filename="a"', content)}--b--\r\n`;
  for (const form of [
    `${MODEL}--b--\r\n`.replaceAll('\r\n', '\n'),
    `${MODEL}--b--\r\n`.replaceAll('\r\n', '\r'),
    file(`x\n--b\r\n${model}`),
    file(`x\n--b\n${model}`),
    file(`x\r--b\r\n${model}`),
    file(`x\r\n--b \r\n${model}`),
    file(`x\r\n--b\n${model}`),
    file(`x\r\n--b--x\r\n--b\r\n${model}`),
    file(`--b\r\n${model}`),
    `${MODEL}--b--\r\n--b\r\n${model}`,
    `${MODEL}--b--\r\n${MODEL}--b--\r\n`,
    `preamble --b\r\n${model}${MODEL}--b--\r\n`,
    `--bx\r\n${model}${MODEL}--b--\r\n`,
    `--b\r\nX: y\r\n${MODEL}--b--\r\n`,
    file('x--b'.repeat(200_000)),
    `--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwithout an end`,
  ])
    assert.match(
      refusalOf(form) ?? 'taken',
      /boundary|within its head|control|no end/,
      JSON.stringify(form.slice(0, 200)),
    );
});

test('forms of real clients are accepted: files of any name and content, headers of all libraries, preambles, long forms', () => {
  for (const other of [
    part('name="file"; filename="model"'),
    part('name="file"; filename*=utf-8\'\'Gr%C3%BC%C3%9Fe.wav'),
    part('name="file"; filename="model.wav"; filename*=UTF-8\'\'m%C3%B6del.wav'),
    part('name="file"; filename="C:\\models\\my \\"model\\".wav"'),
    part('name="file"; filename="Gr\u00fc\u00dfe \u4f60\u597d model; name.wav"'),
    part('name="file"; filename="a"b".wav"'),
    part('name="file"; filename=my model.wav'),
    part('filename="a.wav"; name="file"', '\r\n\r\nname="model"\r\n--', '\r\nContent-Type: audio/wav'),
    part('name="file"; filename="a"', 'Content-Disposition: form-data; name="model"\r\n\r\nx --b --bb'),
    part(
      'name="file"; filename="a"',
      '--c\r\nContent-Disposition: form-data; name="model"\r\n\r\nx\r\n--c--',
    ),
    part('name="models"') + part('name="model_id"') + part('name="timestamp_granularities[]"'),
    part('name="prompt"', 'name="model"'),
    part('name=""') + part('name="\u6a21\u578b"'),
    `--b\r\nContent-Type: text/plain; name="x"\r\n\r\nx\r\n`,
  ])
    assert.deepEqual(fieldsOf(`${other}${MODEL}--b--\r\n`).at(-1), ['model', 'whisper'], other);
  for (const more of [
    '\r\nContent-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit',
    '\r\nContent-Transfer-Encoding: binary\r\nContent-Type: multipart/form-data; charset=utf-8\r\nContent-Length: 7',
    '\r\nContent-Type: text/plain; charset="UTF-8"',
  ])
    assert.deepEqual(fieldsOf(`\r\n${part('name="model"', 'whisper', more)}--b--`), [['model', 'whisper']]);
  assert.deepEqual(fieldsOf(`${part('name="model"; filename="a"').repeat(2)}--b--\r\n`), []);
  assert.deepEqual(fieldsOf('--b--\r\n'), []);
  assert.deepEqual(fieldsOf(''), []);
});

test('S121 a form in pieces is checked for a second model, wherever the pieces end', () => {
  const type = 'multipart/form-data; boundary=b';
  const rest = `${part('name="file"; filename="a"', 'x\r\n--bb\r\nx')}${MODEL}--b--\r\n`;
  for (const size of [1, 2, 3, 7, 50]) {
    const { follow } = readForm(Buffer.from(MODEL + rest.slice(0, 20)), type, false);
    const pieces = rest.slice(20).match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
    assert.throws(() => {
      for (const piece of pieces) follow(Buffer.from(piece));
    }, /"model" twice/);
    const unnamed = readForm(Buffer.from(part('name="a"') + rest.slice(0, 20)), type, false);
    for (const piece of pieces) unnamed.follow(Buffer.from(piece));
  }
});

test('S121 fields are parsed in every notation of their headers', () => {
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
  const form = [
    part('name="file"; filename="a.wav"', 'x'),
    part('name="f"; filename*=UTF-8\'\'%e4', 'x'),
    part('', 'x'),
    part('name="empty"', ''),
    part('name="lines"', 'a\r\n\r\nb\n--\r\n--bc --b'),
    '--b\r\nno headers at all\r\n\r\n\r\n',
  ].join('');
  const read = [
    ['empty', ''],
    ['lines', 'a\r\n\r\nb\n--\r\n--bc --b'],
  ];
  assert.deepEqual(fieldsOf(`${form}--b--\r\n`), read);
  assert.deepEqual(fieldsOf(`${form}${part('name="cut"', 'without an end')}`), read);
});

test('the fields of a cut form are the first fields of the whole form', () => {
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
    // The longest beginning of which nothing is refused; a cut never makes that more.
    const whole = refusalOf(form, 'multipart/form-data; boundary=bb') === null;
    const all = whole ? fieldsOf(form, 'bb') : [];
    for (let end = 0; whole && end < form.length; end++) {
      const read = fieldsOf(form.slice(0, end), 'bb', false);
      assert.deepEqual(read, all.slice(0, read.length));
    }
  }
});

test('a form of nothing but delimiters, and one of a single endless header, are refused quickly', () => {
  for (const form of [
    '\r\n--b'.repeat(1_000_000),
    '\r\n--bb'.repeat(1_000_000),
    '--b'.repeat(2_000_000),
    '--b\r\n\r\n\r\n'.repeat(1_000_000),
    `--b\r\nContent-Disposition: ${'; name='.repeat(1_000_000)}\r\n--b`,
    `--b\r\nContent-Disposition: form-data${'; name=" '.repeat(1_000)}\r\n\r\nx\r\n--b--`,
    `--b\r\nContent-Disposition: form-data; name=${' '.repeat(16_000)}\r\n\r\nx\r\n--b--`,
    `--b\r\nContent-Disposition: form-data${'; x=y '.repeat(2_500)}"\r\n\r\nx\r\n--b--`,
  ]) {
    const began = process.cpuUsage();
    refusalOf(form);
    const tookMs = cpuMsSince(began);
    assert.ok(tookMs < 1_000, `${JSON.stringify(form.slice(0, 60))} took ${tookMs} ms`);
  }
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
