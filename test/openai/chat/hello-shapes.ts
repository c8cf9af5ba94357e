/** What the tests of shapes that no catalogue lists expect of them: "Hello world", one call, or a failure. */
import assert from 'node:assert/strict';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { checkCanonicalStream, type ReadChoice } from '../../helpers/canonical-checker.ts';
import { type Overrides, ROLE, read, reply, STOP, stream, text } from '../upstream-bytes.ts';

export const HELLO = [ROLE, text('Hello'), text(' world'), STOP] as const;
export const CALL = { name: 'weather', arguments: '{"city":"Ulm"}' };

/** The first choice of a stream, the same when it comes at once and byte by byte. */
export function told(body: string | Uint8Array, overrides: Overrides = {}): ReadChoice | undefined {
  const { choices, failure } = read(body, overrides);
  assert.equal(failure, null);
  const bytes = Buffer.from(body as Uint8Array);
  const pieces = Array.from(bytes, (_, position) => bytes.subarray(position, position + 1));
  const slow = stream(pieces, { newId: () => 'chatcmpl-own', ...overrides });
  assert.equal(slow.failure, null);
  const [slowly] = checkCanonicalStream(slow.text).choices;
  const functions = (choice?: ReadChoice) => choice?.calls.map((call) => [call.name, call.arguments]);
  assert.deepEqual(
    [slowly?.content, slowly?.finish, functions(slowly)],
    [choices[0]?.content, choices[0]?.finish, functions(choices[0])],
  );
  return choices[0];
}

export function assertHello(body: string | Uint8Array): void {
  const choice = told(body);
  assert.deepEqual([choice?.content, choice?.finish], ['Hello world', 'stop']);
}

/** A stream that fails: what was told before, and the error's words. */
export function failed(body: string | Uint8Array): { content: string; message: string } {
  const { choices, error, failure } = read(body);
  assert.ok(failure instanceof FerryError);
  assert.ok(error !== null);
  return { content: choices[0]?.content ?? '', message: error.message };
}

export function assertHelloReply(object: unknown): void {
  const { choices, usage } = reply(JSON.stringify(object)).json;
  assert.deepEqual([choices[0].message.content, choices[0].finish_reason], ['Hello world', 'stop']);
  assert.equal(usage.completion_tokens, 2);
}

export function assertCall(choice: ReadChoice | undefined): void {
  assert.deepEqual(
    choice?.calls.map(({ name, arguments: text }) => ({ name, arguments: text })),
    [CALL],
  );
  assert.equal(choice?.finish, 'tool_calls');
}
