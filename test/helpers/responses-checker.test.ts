import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResponsesStream } from '../../src/openai/responses/responses-response.ts';
import { ResponsesTools } from '../../src/openai/responses/responses-tools.ts';
import { chunk, DONE, optionsFor, ROLE, sse, text } from '../openai/upstream-bytes.ts';
import { checkResponsesStream } from './responses-checker.ts';

const ECHO = {
  instructions: null,
  parallel_tool_calls: true,
  previous_response_id: null,
  store: false,
  temperature: null,
  tools: [],
  top_p: null,
};

/** A stream with everything in it, as its blocks. */
function blocks(): string[] {
  const stream = new ResponsesStream(optionsFor(), {
    echo: ECHO,
    tools: new ResponsesTools(),
    hasEncryptedReasoning: false,
    maxLength: 10_000,
  });
  const call = { index: 0, id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } };
  const body = sse(
    ROLE,
    chunk({ reasoning_content: 'Hm.' }),
    text('Hello'),
    text(' world'),
    chunk({ refusal: 'no' }),
    chunk({ tool_calls: [call] }),
    chunk({}, 'tool_calls'),
    DONE,
  );
  return (stream.push(Buffer.from(body)) + stream.end()).split('\n\n').slice(0, -1);
}

const joined = (all: readonly string[]): string => all.map((block) => `${block}\n\n`).join('');

/** With the numbers that the events ought to have, so that only what is missing or changed is found. */
const renumbered = (all: readonly string[]): string =>
  joined(all.map((block, at) => block.replace(/"sequence_number":\d+/, `"sequence_number":${at}`)));

test('the checker accepts the complete sequence', () => {
  const all = blocks();
  assert.equal(all.length, 24);
  assert.equal(checkResponsesStream(joined(all)).text, 'Hello world');
});

test('the checker detects every event that is missing, sent twice or sent too early', () => {
  const all = blocks();
  for (let at = 0; at < all.length; at++) {
    const block = all[at] as string;
    assert.throws(() => checkResponsesStream(joined(all.toSpliced(at, 1))), `number of ${block}`);
    assert.throws(() => checkResponsesStream(renumbered(all.toSpliced(at, 1))), block);
    assert.throws(() => checkResponsesStream(renumbered(all.toSpliced(at, 0, block))), `twice ${block}`);
    if (at === 0) continue;
    const swapped = all.toSpliced(at - 1, 2, block, all[at - 1] as string);
    // Two deltas of one text cannot be told apart, and items may overlap.
    const [index, other] = [block, all[at - 1]].map((one) => /"output_index":\d+/.exec(one ?? '')?.[0]);
    const isFree = index !== other || (/delta/.test(block) && /delta/.test(all[at - 1] as string));
    if (!isFree) assert.throws(() => checkResponsesStream(renumbered(swapped)), `early ${block}`);
  }
});

test('the checker detects another id, another text and a name that is not the type', () => {
  const all = blocks();
  for (const [at, block] of all.entries()) {
    const changes = [
      block.replace(/"(item_id|id)":"(msg|rs|fc|resp)_../, '"$1":"$2_xx'),
      block.replace(/"(delta|text|refusal|arguments)":"(?=[^"])/, '"$1":"x'),
      block.replace('event: response', 'event: other'),
    ].filter((changed) => changed !== block);
    for (const changed of changes)
      assert.throws(() => checkResponsesStream(joined(all.with(at, changed))), changed);
  }
});
