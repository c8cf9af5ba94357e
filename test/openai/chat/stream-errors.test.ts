import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorEvent, FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { chunk, DONE, ROLE, read, STOP, sse, stream, text } from '../upstream-bytes.ts';

/** Every form in which a 200 carries an error, as the body or the first event. */
const ERRORS: readonly (readonly [string, unknown])[] = [
  ['Q126 OpenAI', { error: { message: 'broken pipe', type: 'x', code: 500 } }],
  ['Q128 TGI', { error: 'broken pipe', error_type: 'overloaded' }],
  ['Q129 Ollama', { error: 'broken pipe' }],
  ['Q130 vLLM', { object: 'error', message: 'broken pipe', type: 'X', param: null, code: 400 }],
  ['Q131 FastAPI', { detail: 'broken pipe' }],
  ['Q133 Gemini', [{ error: { code: 400, message: 'broken pipe', status: 'INVALID_ARGUMENT' } }]],
  ['Q134 MiniMax', { base_resp: { status_code: 1001, status_msg: 'broken pipe' }, choices: null }],
  ['Q135 Baidu', { error_code: 336_003, error_msg: 'broken pipe' }],
  ['Q136 DashScope', { code: 'Throttling', message: 'broken pipe', request_id: 'r' }],
  ['Q138 new-api', { success: false, message: 'broken pipe' }],
  ['Q42 envelope', { code: 5001, msg: 'broken pipe', data: null }],
  ['error beside empty choices', { error: { message: 'broken pipe' }, choices: [] }],
  [
    'error beside a silent choice',
    { ...chunk({ content: '' }), error: { message: 'broken pipe', code: 502 } },
  ],
  ['error inside an envelope', { code: 0, data: { error: { message: 'broken pipe' } } }],
];

for (const [name, error] of ERRORS) {
  test(`${name}: a 200 with an error as the whole body or first event is a failure before any content`, () => {
    for (const body of [
      JSON.stringify(error),
      sse(error),
      sse(error, DONE),
      `\n${JSON.stringify(error, null, 2)}`,
    ]) {
      const { failure, stream: chat } = stream(body);
      assert.ok(failure instanceof FerryError, body);
      assert.match(failure.message, /broken pipe/);
      assert.equal(chat.hasContent, false);
      assert.equal(chat.isFinished, false);
    }
  });

  test(`${name}: after text it is one error event without choices, then [DONE]`, () => {
    const { failure, error: told, choices } = read(sse(ROLE, text('Hel'), error));
    assert.equal(choices[0]?.content, 'Hel');
    assert.ok(told?.message.startsWith(failure?.message ?? 'no failure'), told?.message);
    assert.match(told?.message ?? '', /broken pipe/);
  });
}

test('event: error makes its data an error', () => {
  for (const data of [
    '{"message":"broken pipe"}',
    '{"foo":"broken pipe"}',
    '{"error":{"message":"broken pipe"}}',
  ]) {
    const { failure } = stream(`${sse(ROLE)}event: error\ndata: ${data}\n\n`);
    assert.match(failure?.message ?? '', /broken pipe/, data);
  }
});

test('an error that is null, empty or false is ignored', () => {
  for (const none of [null, {}, '', false]) {
    const { choices } = read(sse({ ...text('x'), error: none }, { ...STOP, error: none }, DONE));
    assert.equal(choices[0]?.content, 'x', JSON.stringify(none));
  }
});

test('base_resp with code 0 beside a response is no error', () => {
  const fine = { base_resp: { status_code: 0, status_msg: '' } };
  assert.equal(read(sse({ ...text('x'), ...fine }, { ...STOP, ...fine })).choices[0]?.content, 'x');
});

test('after a failure nothing more is written', () => {
  const { stream: chat, text: out } = stream(sse(ROLE, text('a'), { error: { message: 'no' } }, text('b')));
  assert.ok(!out.includes('"b"'));
  assert.equal(chat.push(Buffer.from(sse(text('c')))), '');
  assert.equal(chat.end(), '');
});

test('secrets in the text of an error are scrubbed', () => {
  const scrub = (outside: string) => outside.replaceAll('sk-secret', '***');
  const { failure } = stream(sse({ error: { message: 'bad token sk-secret' } }), { scrub });
  assert.ok(!failure?.message.includes('sk-secret'));
  const unread = stream('bad token sk-secret', { scrub });
  assert.ok(!unread.failure?.message.includes('sk-secret'));
});

test('S92 S93 the error event has four fields, no choices, and ends with [DONE]', () => {
  const error = new FerryError('disconnected', { message: 'The upstream closed the connection.' });
  assert.equal(
    errorEvent(error),
    'data: {"error":{"message":"The upstream closed the connection.","type":"upstream_error","param":null,' +
      '"code":"upstream_disconnected"}}\n\ndata: [DONE]\n\n',
  );
});

test('S92 line ends in a message do not break the event', () => {
  const told = errorEvent(new FerryError('internal', { message: 'two\nlines\r\n' }));
  assert.equal(told.split('\n\n').length, 3);
});
