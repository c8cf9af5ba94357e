import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { parseChatResponse } from '../../../src/openai/chat/chat-response.ts';
import { codedMessage, parseVendorError } from '../../../src/openai/errors/vendor-error.ts';
import { chunk, DONE, optionsFor, ROLE, read, STOP, sse, text } from '../upstream-bytes.ts';

/** Errors of companies' own interfaces, as they come with a status of 200, and the kind that each is. */
const ERRORS: readonly (readonly [object, string])[] = [
  [{ statusCode: 429, message: 'Try again in 20 seconds.' }, 'rate_limited'],
  [{ __type: 'ThrottlingException', message: 'Rate exceeded' }, 'rate_limited'],
  [{ status: { code: 429, message: 'slow down' } }, 'rate_limited'],
  [{ errcode: 429, errmsg: 'slow down' }, 'rate_limited'],
  [{ httpStatus: 401, message: 'expired' }, 'auth_rejected'],
  [{ resultCode: '0009', resultMsg: 'token invalid', data: null }, 'auth_rejected'],
  [{ header: { code: 10013, message: 'out of order' } }, 'retryable_status'],
  [{ ret: -1, msg: 'out of order' }, 'retryable_status'],
  [{ retcode: 1, retmsg: 'out of order' }, 'retryable_status'],
  [{ returnCode: 'FAIL', returnMsg: 'out of order' }, 'retryable_status'],
  [{ result: 'error', message: 'out of order' }, 'retryable_status'],
  [{ state: 'error', reason: 'out of order' }, 'retryable_status'],
  [{ error_no: 3, error_msg: 'out of order' }, 'retryable_status'],
  [{ err: 'out of order' }, 'retryable_status'],
];

test('a code for a failure with a text beside it is an error of that kind, under any names', () => {
  for (const [body, kind] of ERRORS) {
    const told = JSON.stringify(body);
    assert.throws(
      () => parseChatResponse(Buffer.from(told), optionsFor()),
      (error) => error instanceof FerryError && error.kind === kind,
      told,
    );
    const { failure, choices } = read(sse(ROLE, text('Hello'), body, DONE));
    assert.deepEqual([choices[0]?.content, failure?.kind], ['Hello', kind], told);
  }
});

test('codes for success are no errors, and neither is a text alone', () => {
  for (const body of [
    { code: 0, msg: 'ok' },
    { resultCode: '0000', resultMsg: 'done' },
    { statusCode: 200, message: 'OK' },
    { status: 'processing', message: 'in the queue' },
    { result: 'the text of an answer', message: 'x' },
    { code: 'Success', message: 'x' },
    { finish_reason: 'stop', code: 0 },
    { message: 'only words' },
    { errcode: 40001 },
  ]) {
    assert.equal(codedMessage(body), null, JSON.stringify(body));
  }
});

test('an unrecognised text is an error when the response ends with it without a finish', () => {
  const words = { Message: 'User is not authorized' };
  const { choices, failure } = read(sse(ROLE, text('Hello'), words, DONE));
  assert.equal(choices[0]?.content, 'Hello');
  assert.match(failure?.message ?? '', /aborted its response with: .*not authorized/);
});

test('it is no error when the response continues, has its finish, or when it is not a text', () => {
  const words = { sources: [{ title: 'A page' }] };
  assert.equal(read(sse(ROLE, words, text('Hello'), DONE)).failure, null);
  assert.equal(read(sse(ROLE, text('Hello'), STOP, words, DONE)).failure, null);
  assert.equal(read(sse(ROLE, text('Hello'), { type: 'ping', id: 'x' }, DONE)).failure, null);
  assert.equal(
    read(sse(ROLE, words, chunk({ content: 'Hello' }), text('!'), DONE)).choices[0]?.content,
    'Hello!',
  );
});

for (const [what, body, message] of [
  // NestJS 11, ValidationPipe.
  [
    'a list of texts',
    { statusCode: 400, message: ['model must be a string', 'n must be a number'], error: 'Bad Request' },
    'model must be a string; n must be a number',
  ],
  // Rails, Laravel: `errors` by field.
  [
    'lists by field',
    { errors: { model: ['is unknown'], n: ['is too large', 'is odd'] } },
    'model: is unknown; n: is too large; is odd',
  ],
  ['a list under errors', { errors: ['first', 'second'] }, 'first; second'],
  [
    'an object of languages',
    { error: { code: 'E1', message: { en: 'no such thing' } } },
    'en: no such thing',
  ],
  ['an object with a text', { error: { message: { text: 'broken', hint: '' } } }, 'text: broken'],
  ['a list of details', { detail: ['one', 'two'] }, 'one; two'],
] as const) {
  test(`an error message that is ${what} is read`, () => {
    assert.equal(parseVendorError(body)?.message, message);
  });
}
