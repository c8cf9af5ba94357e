import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadTokenCounter } from '../../../src/openai/usage/token-count.ts';
import {
  chunk,
  DONE,
  PLAIN,
  ROLE,
  read,
  STOP,
  sse,
  stream,
  text,
  USAGE,
  usageChunk,
} from '../upstream-bytes.ts';

const ASKED = { includeUsage: true };

function usageOf(raw: unknown) {
  return read(sse(ROLE, text('x'), STOP, usageChunk(raw), DONE), ASKED).usage;
}

test('S54 the usage chunk comes once, after the finish and directly before [DONE]', () => {
  const body = sse(ROLE, text('x'), STOP, usageChunk(USAGE), DONE);
  assert.equal(stream(body, ASKED).text, body);
});

test('S55 Q99 usage that was not requested is removed, and still counted', () => {
  const body = PLAIN.replace('data: [DONE]', `data: ${JSON.stringify(usageChunk(USAGE))}\n\ndata: [DONE]`);
  const { text: out, stream: chat } = stream(body);
  assert.equal(out, PLAIN);
  assert.deepEqual(chat.usage, { promptTokens: 5, completionTokens: 2, totalTokens: 7 });
  assert.equal(chat.isUsageEstimated, false);
});

test('S55 usage: null in every chunk is canonical', () => {
  const body = sse({ ...ROLE, usage: null }, { ...text('x'), usage: null }, STOP, usageChunk(USAGE), DONE);
  assert.equal(stream(body, ASKED).text, body);
});

test('Q97 usage in each chunk, growing: only the last one, at the end', () => {
  const growing = (n: number) => ({ prompt_tokens: 5, completion_tokens: n, total_tokens: 5 + n });
  const body = sse(
    { ...ROLE, usage: growing(0) },
    { ...text('a'), usage: growing(1) },
    { ...text('b'), usage: growing(2) },
    { ...STOP, usage: growing(3) },
    DONE,
  );
  const { usage, choices } = read(body, ASKED);
  assert.deepEqual([choices[0]?.content, usage?.completion_tokens], ['ab', 3]);
  assert.equal(read(body).usage, null);
});

test('Q98 usage in the finish chunk becomes a chunk of its own', () => {
  assert.deepEqual(read(sse(ROLE, text('x'), { ...STOP, usage: USAGE }, DONE), ASKED).usage, USAGE);
});

test('Q100 S57 no usage although requested: estimated and marked', async () => {
  await loadTokenCounter();
  const { usage, stream: chat } = read(PLAIN, {
    ...ASKED,
    promptForEstimate: () => 'Say hello to the world',
  });
  assert.deepEqual(usage, { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 });
  assert.equal(chat.isUsageEstimated, true);
});

test('Q100 not requested: nothing is estimated, unless the caller needs it', () => {
  const prompt = () => assert.fail('the prompt is not asked for');
  assert.equal(stream(PLAIN, { promptForEstimate: prompt }).stream.usage, null);
  const { text: out, stream: chat } = stream(PLAIN, { estimateUsage: 'exactly' });
  assert.equal(out, PLAIN);
  assert.ok((chat.usage?.completionTokens ?? 0) > 0);
});

test('Q100 a long response is estimated piece by piece', async () => {
  await loadTokenCounter();
  const words = Array.from({ length: 2000 }, () =>
    text(' a few words more of the answer that is rather long'),
  );
  const { usage } = read(sse(ROLE, ...words, STOP, DONE), ASKED);
  assert.ok(
    usage?.completion_tokens > 15_000 && usage?.completion_tokens < 30_000,
    String(usage?.completion_tokens),
  );
});

test('Q102 names of other vendors', () => {
  for (const raw of [
    { input_tokens: 5, output_tokens: 2 },
    { prompt_eval_count: 5, eval_count: 2 },
    { promptTokens: 5, completionTokens: 2, totalTokens: 7 },
    { promptTokenCount: 5, candidatesTokenCount: 2, totalTokenCount: 7 },
  ]) {
    assert.deepEqual(usageOf(raw), USAGE);
  }
});

test('S56 Q103 strings and floats become integers, a wrong total is recomputed, null members are removed', () => {
  assert.deepEqual(usageOf({ prompt_tokens: '5', completion_tokens: 2.0, total_tokens: '99' }), USAGE);
  assert.deepEqual(usageOf({ prompt_tokens: 5, completion_tokens: 2 }), USAGE);
  assert.deepEqual(usageOf({ ...USAGE, prompt_tokens_details: null, completion_tokens_details: 'x' }), USAGE);
  assert.deepEqual(usageOf({ prompt_tokens: -1, completion_tokens: 2, total_tokens: 7 }), USAGE);
});

test('S56 details and other members of the upstream pass', () => {
  const rich = { ...USAGE, prompt_tokens_details: { cached_tokens: 3 }, cost: 0.5 };
  assert.deepEqual(usageOf(rich), rich);
  assert.deepEqual(usageOf({ ...rich, total_tokens: 1 }), rich);
});

test('Q104 completion_tokens missing: total minus prompt', () => {
  assert.deepEqual(usageOf({ prompt_tokens: 5, total_tokens: 7 }), USAGE);
  assert.deepEqual(usageOf({ prompt_tokens: 5 }), {
    prompt_tokens: 5,
    completion_tokens: 0,
    total_tokens: 5,
  });
});

test('Q105 usage before the finish is written after it', () => {
  const body = sse(ROLE, text('x'), usageChunk(USAGE), STOP, DONE);
  assert.deepEqual(read(body, ASKED).usage, USAGE);
});

test('Q105 usage after [DONE] comes too late: the stream is over', () => {
  const { usage, stream: chat } = read(sse(ROLE, text('x'), STOP, DONE, usageChunk(USAGE)), ASKED);
  assert.notEqual(usage, null);
  assert.equal(chat.isUsageEstimated, true);
});

test('Q107 two usage chunks: the last one, never the sum', () => {
  const other = { prompt_tokens: 50, completion_tokens: 20, total_tokens: 70 };
  assert.deepEqual(
    read(sse(ROLE, text('x'), STOP, usageChunk(other), usageChunk(USAGE), DONE), ASKED).usage,
    USAGE,
  );
  assert.deepEqual(
    read(sse(ROLE, text('x'), STOP, usageChunk(USAGE), { ...chunk({}), usage: other }, DONE), ASKED).usage,
    other,
  );
});

test('usage inside the choice (Moonshot) is found', () => {
  const { choices, ...rest } = STOP as { choices: object[] };
  const body = sse(ROLE, text('x'), { ...rest, choices: [{ ...choices[0], usage: USAGE }] }, DONE);
  assert.deepEqual(read(body, ASKED).usage, USAGE);
});

test('the usage of a stream that ends before its time can be settled', () => {
  const { stream: chat } = stream(sse(ROLE, text('Hello world')), {
    estimateUsage: 'exactly',
    promptForEstimate: () => 'Hi',
  });
  assert.equal(chat.usage, null);
  assert.ok((chat.settleUsage()?.totalTokens ?? 0) >= 3);
  assert.equal(chat.isUsageEstimated, true);
  assert.equal(stream(sse(ROLE, text('Hello world'))).stream.settleUsage(), null);
});

test('a usage of zero tokens is ignored and does not replace another one', () => {
  const zero = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 };
  assert.deepEqual(
    read(sse(ROLE, text('x'), usageChunk(USAGE), STOP, usageChunk(zero), DONE), ASKED).usage,
    USAGE,
  );
  assert.equal(
    stream(sse(ROLE, text('x'), STOP, usageChunk(zero), DONE), ASKED).stream.isUsageEstimated,
    true,
  );
});

test('empty usage objects are no usage', () => {
  const { stream: chat } = stream(sse(ROLE, text('x'), { ...STOP, usage: {} }, DONE));
  assert.equal(chat.usage, null);
});

const COUNTED = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };
/** What vendors put beside the choices in place of `usage`. */
const BESIDE: readonly (readonly [string, object])[] = [
  ['Groq', { x_groq: { id: 'req_1', usage: { ...COUNTED, queue_time: 0.1 } } }],
  ['meta', { meta: { usage: { input_tokens: 5, output_tokens: 2 } } }],
  ['metadata', { metadata: { usage: { promptTokens: 5, completionTokens: 2 } } }],
  ['Cohere', { meta: { billed_units: { input_tokens: 5, output_tokens: 2 } } }],
  [
    'Bedrock',
    {
      'amazon-bedrock-invocationMetrics': { inputTokenCount: 5, outputTokenCount: 2, invocationLatency: 90 },
    },
  ],
  ['Gemini', { usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 2, totalTokenCount: 7 } }],
  [
    'llama.cpp',
    { timings: { cache_n: 4, prompt_n: 1, prompt_ms: 20.5, predicted_n: 2, predicted_ms: 31.1 } },
  ],
];

for (const [vendor, beside] of BESIDE) {
  test(`Q98 Q102 usage in a vendor's member is used instead of an estimate (${vendor})`, () => {
    const odd = { ...STOP, object: '' };
    for (const end of [
      [{ ...STOP, ...beside }],
      [STOP, { ...usageChunk(null), ...beside }],
      [{ ...odd, ...beside }],
      [STOP, beside],
    ]) {
      const { usage, stream: chat } = read(sse(ROLE, text('x'), ...end, DONE), ASKED);
      const { prompt_tokens, completion_tokens, total_tokens } = usage ?? {};
      assert.deepEqual({ prompt_tokens, completion_tokens, total_tokens }, COUNTED);
      assert.equal(chat.isUsageEstimated, false);
    }
    const { usage: unasked, stream: chat } = read(sse(ROLE, text('x'), { ...STOP, ...beside }, DONE));
    assert.equal(unasked, null);
    assert.deepEqual(chat.usage?.totalTokens, 7);
  });
}

test('Q107 the usage of the response itself counts, with any members beside it and in any order', () => {
  const beside = {
    timings: { prompt_n: 1, predicted_n: 2 },
    x_groq: { usage: { prompt_tokens: 99, completion_tokens: 99 } },
  };
  for (const chunks of [
    [{ ...STOP, ...beside }, usageChunk(USAGE)],
    [usageChunk(USAGE), { ...STOP, ...beside }],
    [{ ...STOP, ...beside, usage: USAGE }],
  ]) {
    assert.deepEqual(read(sse(ROLE, text('x'), ...chunks, DONE), ASKED).usage, USAGE);
  }
});

test('Q100 an object without two counts is no usage: it is estimated', () => {
  for (const beside of [
    { x_groq: { id: 'req_1' } },
    { meta: { usage: { total_tokens: 7 } } },
    { meta: { usage: { prompt_tokens: 5, completion_tokens: 0 } } },
    { metadata: { usage: 'chat' } },
    { timings: { prompt_n: 1 } },
    { usageMetadata: null },
    { limits: { input_tokens: 5, output_tokens: 2 } },
  ]) {
    const { stream: chat } = read(sse(ROLE, text('x'), { ...STOP, ...beside }, DONE), ASKED);
    assert.equal(chat.isUsageEstimated, true, JSON.stringify(beside));
  }
});
