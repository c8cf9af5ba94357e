import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import {
  type EmbeddingsResponse,
  type EmbeddingsResponseOptions,
  joinVectorResponses,
  readSkeleton,
  readEmbeddingsResponse as responseOf,
  type VectorResponse,
  readVectors as vectorsOfPieces,
} from '../../../src/openai/embeddings/embeddings-response.ts';
import { cpuMsSince } from '../../helpers/cpu-time.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';

interface Wire {
  object: string;
  data: { object: string; index: number; embedding: number[] | string }[];
  model: string;
  usage: { prompt_tokens: number; total_tokens: number };
}

const defaults: EmbeddingsResponseOptions = {
  inputs: 2,
  encoding: 'float',
  requestedModel: 'asked',
  replyModel: 'upstream',
  scrub: (text) => text,
};

function canonical(vectors: readonly (readonly number[])[]): Wire {
  return {
    object: 'list',
    data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding: [...embedding] })),
    model: 'bge-m3',
    usage: { prompt_tokens: 7, total_tokens: 7 },
  };
}

function bytes(body: unknown): Buffer {
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

/** As it comes from a socket: in several pieces. */
function inPieces(body: Buffer): Buffer[] {
  const cut = Math.floor(body.length / 3);
  return [body.subarray(0, cut), body.subarray(cut, cut * 2), body.subarray(cut * 2)];
}

function readEmbeddingsResponse(
  body: Buffer,
  options: EmbeddingsResponseOptions,
): Omit<EmbeddingsResponse, 'body'> & { readonly body: Buffer } {
  const response = responseOf(inPieces(body), options);
  return { ...response, body: Buffer.concat(response.body) };
}

function readVectors(body: Buffer, options: EmbeddingsResponseOptions): VectorResponse {
  return vectorsOfPieces(inPieces(body), options);
}

function read(body: unknown, options: Partial<EmbeddingsResponseOptions> = {}): Wire {
  return JSON.parse(readEmbeddingsResponse(bytes(body), { ...defaults, ...options }).body.toString()) as Wire;
}

function vectorsOf(body: unknown, options: Partial<EmbeddingsResponseOptions> = {}): unknown[] {
  const wire = read(body, options);
  assert.equal(wire.object, 'list');
  assert.deepEqual(
    wire.data.map((item) => [item.object, item.index]),
    wire.data.map((_, index) => ['embedding', index]),
  );
  assert.ok(Number.isInteger(wire.usage.prompt_tokens) && Number.isInteger(wire.usage.total_tokens));
  return wire.data.map((item) => item.embedding);
}

function failure(body: unknown, options: Partial<EmbeddingsResponseOptions> = {}): FerryError {
  try {
    readEmbeddingsResponse(bytes(body), { ...defaults, ...options });
  } catch (error) {
    assert.ok(error instanceof FerryError, String(error));
    return error;
  }
  return assert.fail('no error');
}

const a = [0.1, -2.5e-7, 3];
const b = [1, 0, -0.25];

test('a canonical float response is relayed as the same buffers', () => {
  for (const text of [
    JSON.stringify(canonical([a, b])),
    JSON.stringify(canonical([a, b]), null, 2),
    '{"data": [{"embedding": [1.0], "index": 0, "object": "embedding"}, {"embedding": [12345678901234567890], "index": 1, "object": "embedding"}], "object": "list", "usage": {"total_tokens": 2, "prompt_tokens": 2}, "model": "x", "id": "1"}',
  ]) {
    const pieces = inPieces(bytes(text));
    const reply = responseOf(pieces, defaults);
    assert.equal(reply.body, pieces, text);
    assert.equal(reply.isRelayed, true);
    assert.equal(reply.isUsageEstimated, false);
  }
});

test('the model of the response is the upstream’s or the requested one, as configured', () => {
  assert.equal(read(canonical([a, b])).model, 'bge-m3');
  assert.equal(read(canonical([a, b]), { replyModel: 'requested' }).model, 'asked');
  assert.deepEqual(vectorsOf(canonical([a, b]), { replyModel: 'requested' }), [a, b]);
  assert.equal(read({ ...canonical([a, b]), model: undefined }).model, 'asked');
  assert.equal(readEmbeddingsResponse(bytes(canonical([a, b])), defaults).upstreamModel, 'bge-m3');
});

test('S109 base64 is little-endian float32, made here from floats', () => {
  const wire = read(canonical([a, b]), { encoding: 'base64' });
  for (const [index, expected] of [a, b].entries()) {
    const decoded = Buffer.from(wire.data[index]?.embedding as string, 'base64');
    assert.equal(decoded.length, 12);
    expected.forEach((value, at) => {
      assert.equal(decoded.readFloatLE(at * 4), Math.fround(value));
    });
  }
});

test('Q152 base64 from the upstream is decoded for a client that requests floats, and kept for one that does not', () => {
  const floats = new Float32Array([0.5, -1, 3e-5]);
  const base64 = Buffer.from(floats.buffer).toString('base64');
  const body = canonical([a, b]);
  for (const item of body.data) item.embedding = base64;
  assert.deepEqual(vectorsOf(body), [Array.from(floats), Array.from(floats)]);
  assert.deepEqual(vectorsOf(body, { encoding: 'base64' }), [base64, base64]);
  const broken = canonical([a, b]);
  for (const bad of [
    'AAA',
    '!!!!',
    '',
    Buffer.from(new Float32Array([Number.NaN]).buffer).toString('base64'),
  ]) {
    for (const item of broken.data) item.embedding = bad;
    assert.equal(failure(broken).kind, 'invalid_response', bad);
  }
});

/** The same response with base64 of float32, big enough that it is not parsed. */
function inBase64(vectors: readonly (readonly number[])[]): Wire {
  const wire = canonical(vectors);
  for (const item of wire.data) {
    item.embedding = Buffer.from(new Float32Array(item.embedding as number[]).buffer).toString('base64');
  }
  return wire;
}

const wide = [0, 1].map((seed) => Array.from({ length: 64 }, (_, at) => Math.fround(Math.sin(at + seed))));

test('a canonical base64 response is relayed as the same buffers, and decoded for a client that requests floats', () => {
  for (const body of [bytes(inBase64(wide)), bytes(JSON.stringify(inBase64(wide), null, 2))]) {
    const pieces = inPieces(body);
    const relayed = responseOf(pieces, { ...defaults, encoding: 'base64', dimensions: 64 });
    assert.equal(relayed.body, pieces);
    assert.equal(relayed.isRelayed, true);
    assert.deepEqual(relayed.usage, { promptTokens: 7, completionTokens: 0, totalTokens: 7 });
    assert.deepEqual(vectorsOf(body.toString()), wide);
  }
  assert.equal(failure(inBase64(wide), { dimensions: 32 }).code, 'unsupported_dimensions');
});

test('parts in base64 are joined without decoding them, also with parts in floats', () => {
  const options = { ...defaults, inputs: 1, encoding: 'base64' as const };
  const [first, second] = wide;
  assert.ok(first && second);
  const parts = [
    readVectors(bytes(inBase64([first])), options),
    readVectors(bytes(canonical([second])), options),
  ];
  const joined = joinVectorResponses(parts, { ...options, inputs: 2 });
  assert.deepEqual(JSON.parse(Buffer.concat(joined.body).toString()), {
    ...inBase64(wide),
    usage: { prompt_tokens: 14, total_tokens: 14 },
  });
});

test('S109 base64 that is no float32 of a vector is an error, however it is wrong', () => {
  const [vector] = wide;
  assert.ok(vector);
  const swapped = Buffer.from(new Float32Array(vector).buffer).swap32();
  const cases: readonly [string, Buffer | string][] = [
    ['float64 (vLLM 0.5.3)', Buffer.from(new Float64Array(vector).buffer)],
    [
      'float64 of bfloat16',
      Buffer.from(new Float64Array(vector.map((_, at) => (at % 7) / 64 - 0.046875)).buffer),
    ],
    ['float64 of any digits', Buffer.from(new Float64Array(vector.map((_, at) => Math.sin(at) / 3)).buffer)],
    ['big-endian', swapped],
    ['NaN', Buffer.from(new Float32Array([...vector, Number.NaN]).buffer)],
    ['not a multiple of four bytes', Buffer.alloc(97, 1)],
    ['no base64', '*'.repeat(128)],
  ];
  for (const [name, value] of cases) {
    const wire = inBase64([vector, vector]);
    const text = typeof value === 'string' ? value : value.toString('base64');
    for (const item of wire.data) item.embedding = text;
    for (const encoding of ['float', 'base64'] as const)
      assert.equal(failure(wire, { encoding }).kind, 'invalid_response', name);
  }
});

test('base64url is written as base64, which clients decode', () => {
  const wire = inBase64(wide);
  const expected = wire.data.map((item) => item.embedding);
  for (const item of wire.data)
    item.embedding = (item.embedding as string).replaceAll('+', '-').replaceAll('/', '_');
  assert.ok(JSON.stringify(wire).includes('_') || JSON.stringify(wire).includes('-'));
  assert.deepEqual(vectorsOf(wire, { encoding: 'base64' }), expected);
});

test('Q149 S111 items out of order are sorted by index', () => {
  const body = canonical([a, b]);
  body.data.reverse();
  assert.deepEqual(vectorsOf(body), [a, b]);
  for (const [index, item] of body.data.entries()) item.index = 2 - index;
  assert.deepEqual(vectorsOf(body), [a, b]);
});

test('Q150 missing, equal and null indexes mean the order of arrival', () => {
  for (const index of [undefined, 0, null]) {
    const body = canonical([a, b]);
    for (const item of body.data) item.index = index as number;
    assert.deepEqual(vectorsOf(body), [a, b]);
  }
});

test('Q153 other shapes of the same', () => {
  const shapes: unknown[] = [
    { embeddings: [a, b] },
    { model: 'm', embeddings: [a, b], prompt_eval_count: 5 },
    [a, b],
    { data: [a, b] },
    [{ embedding: a }, { embedding: b }],
    [
      { index: 1, embedding: b },
      { index: 0, embedding: a },
    ],
    { code: 0, msg: 'ok', data: canonical([a, b]) },
    {
      output: {
        embeddings: [
          { text_index: 1, embedding: b },
          { text_index: 0, embedding: a },
        ],
      },
      usage: { total_tokens: 3 },
    },
    { embeddings: { float: [a, b] }, meta: { billed_units: { input_tokens: 4 } } },
    { embeddings: [{ values: a }, { values: b }] },
    { vectors: [a, b], total_tokens: 9 },
    { data: [{ embedding: [a] }, { embedding: [[b]] }] },
  ];
  for (const shape of shapes) assert.deepEqual(vectorsOf(shape), [a, b], JSON.stringify(shape));
  for (const single of [{ embedding: a }, a, { data: [{ embedding: a }] }, [{ index: 0, embedding: [a] }]]) {
    assert.deepEqual(vectorsOf(single, { inputs: 1 }), [a], JSON.stringify(single));
  }
});

test('a vector whose numbers are texts of numbers is read, and the repair has a name', () => {
  const numbers = ['0.5', '-2e-3', ' 1 ', '+.25', '3.'];
  for (const body of [
    { data: [{ index: 0, embedding: numbers }] },
    { embedding: numbers },
    { embeddings: [numbers] },
    { data: [{ index: 0, embedding: [numbers] }] },
  ]) {
    const repairs: string[] = [];
    const vectors = vectorsOf(body, { inputs: 1, onRepair: (repair) => repairs.push(repair) });
    assert.deepEqual(vectors, [[0.5, -0.002, 1, 0.25, 3]]);
    assert.ok(repairs.includes('embeddings_number_texts'));
  }
  for (const embedding of [['0.5', ''], ['NaN'], ['1e999'], ['0x10'], ['1', 2], ['1,5']]) {
    const { kind } = failure({ data: [{ index: 0, embedding }] }, { inputs: 1 });
    assert.equal(kind, 'invalid_response', JSON.stringify(embedding));
  }
});

test('Q155 Q156 S111 fewer, more or no vectors are a mismatch, with a hint for token ids', () => {
  const error = failure(canonical([a]));
  assert.deepEqual([error.kind, error.status, error.code], ['mismatch', 502, 'upstream_mismatch']);
  assert.equal(failure(canonical([a, b, a])).kind, 'mismatch');
  assert.equal(failure({ object: 'list', data: [], model: 'm', usage: {} }).kind, 'mismatch');
  assert.equal(failure({ data: [] }).kind, 'mismatch');
  assert.match(failure({ data: [] }, { hasTokenIds: true }).message, /check_embedding_ctx_length=False/);
});

test('S116 vectors hold finite numbers only', () => {
  for (const vector of [
    '[NaN,1]',
    '[1,null]',
    '["one"]',
    '[]',
    '[1,[2]]',
    '[1,Infinity]',
    '[-Infinity]',
    '[nan]',
    '[true]',
    '{}',
    'null',
    '7',
  ]) {
    const body = `{"object":"list","data":[{"object":"embedding","index":0,"embedding":${vector}}],"model":"m","usage":{"prompt_tokens":1,"total_tokens":1}}`;
    assert.equal(failure(body, { inputs: 1 }).kind, 'invalid_response', vector);
  }
  assert.equal(failure({ data: [{ embedding: [a, b] }] }, { inputs: 1 }).kind, 'invalid_response');
});

test('Q157 S114 usage is estimated when missing and completed when partial', () => {
  const { usage: _usage, ...without } = canonical([a, b]);
  const reply = readEmbeddingsResponse(bytes(without), {
    ...defaults,
    promptForEstimate: () => 'some words here',
  });
  assert.equal(reply.isUsageEstimated, true);
  assert.ok(reply.usage.promptTokens > 0);
  assert.deepEqual(read({ ...without, usage: { total_tokens: 9 } }).usage, {
    prompt_tokens: 9,
    total_tokens: 9,
  });
  assert.deepEqual(read({ ...without, usage: { prompt_tokens: '9' } }).usage, {
    prompt_tokens: 9,
    total_tokens: 9,
  });
  assert.deepEqual(
    read({ ...without, usage: { prompt_tokens: 4.6, total_tokens: 9 } }).usage.prompt_tokens,
    5,
  );
});

test('S85 an error inside of a 200 is that error', () => {
  assert.equal(failure({ error: { message: 'Rate limit', code: 429 } }).kind, 'rate_limited');
  assert.equal(failure({ object: 'error', message: 'boom', code: 500 }).kind, 'retryable_status');
  assert.equal(
    failure({ base_resp: { status_code: 1004, status_msg: 'login fail' }, vectors: null }).kind,
    'auth_rejected',
  );
});

test('S97 an invalid response is upstream_invalid_response, a cut one upstream_disconnected', () => {
  for (const body of ['', '<html><title>Login</title></html>', 'ok', '{"object":"list"}', '7', '{"a":NaN}']) {
    assert.equal(failure(body).kind, 'invalid_response', body);
  }
  const whole = JSON.stringify(canonical([a, b]));
  for (const length of [20, 60, whole.length - 60, whole.length - 3]) {
    assert.equal(failure(whole.slice(0, length)).kind, 'disconnected', `${length}`);
  }
});

test('S112 the responses of several calls are joined in order, usage summed', () => {
  const first = readVectors(bytes(canonical([a, b])), defaults);
  const second = readVectors(bytes({ embeddings: [[9]], model: 'bge-m3', usage: { total_tokens: 3 } }), {
    ...defaults,
    inputs: 1,
  });
  const joined = joinVectorResponses([first, second], { ...defaults, inputs: 3 });
  const wire = JSON.parse(Buffer.concat(joined.body).toString()) as Wire;
  assert.deepEqual(
    wire.data.map((item) => [item.index, item.embedding]),
    [
      [0, a],
      [1, b],
      [2, [9]],
    ],
  );
  assert.deepEqual(wire.usage, { prompt_tokens: 10, total_tokens: 10 });
  assert.equal(wire.model, 'bge-m3');
});

test('vectors of different upstream models are never joined', () => {
  const first = readVectors(bytes(canonical([a])), { ...defaults, inputs: 1 });
  const other = readVectors(bytes({ ...canonical([b]), model: 'other' }), { ...defaults, inputs: 1 });
  assert.throws(
    () => joinVectorResponses([first, other], defaults),
    (error: unknown) => error instanceof FerryError && error.kind === 'mismatch',
  );
});

test('S115 vectors of another length than requested are a 400 with both lengths', () => {
  const asked = { dimensions: 2, upstream: 'vectors' };
  const inBase64 = canonical([a, b]);
  for (const item of inBase64.data)
    item.embedding = Buffer.from(new Float32Array(item.embedding as number[]).buffer).toString('base64');
  for (const body of [canonical([a, b]), { embeddings: [a, b], model: 'bge-m3' }, inBase64]) {
    for (const encoding of ['float', 'base64'] as const) {
      const error = failure(body, { ...asked, encoding });
      assert.deepEqual(
        [error.kind, error.status, error.code, error.param],
        ['client_fault', 400, 'unsupported_dimensions', 'dimensions'],
      );
      assert.match(
        error.message,
        /model "bge-m3" of upstream "vectors" .* 3 numbers .* asks for 2:.*set it to 3/,
      );
      assert.doesNotMatch(
        error.message,
        /server|timeout|unavailable|capacity|quota|rate limit|\bkey\b|auth/i,
      );
    }
  }
  assert.equal(failure([a, [1, 2]], asked).code, 'unsupported_dimensions');
});

test('S115 vectors of the requested length are relayed unchanged', () => {
  for (const dimensions of [3, null]) {
    const reply = readEmbeddingsResponse(bytes(canonical([a, b])), { ...defaults, dimensions });
    assert.equal(reply.isRelayed, true);
  }
  const spaced = bytes(JSON.stringify(canonical([a, b]), null, 2));
  assert.equal(readEmbeddingsResponse(spaced, { ...defaults, dimensions: 3 }).isRelayed, true);
});

test('S115 a part of a split request with vectors of another length fails the same', () => {
  assert.throws(
    () => readVectors(bytes(canonical([a])), { ...defaults, inputs: 1, dimensions: 1024 }),
    (error: unknown) => error instanceof FerryError && error.code === 'unsupported_dimensions',
  );
});

test('the skeleton agrees with JSON.parse on mutated responses (seeded)', () => {
  const random = randomFrom(23);
  const alphabet = '[]{}",:01.-enN \\a';
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    let text = JSON.stringify(canonical([a, b]));
    const at = Math.floor(random() * text.length);
    text =
      text.slice(0, at) +
      alphabet[Math.floor(random() * alphabet.length)] +
      text.slice(at + Math.floor(random() * 3));
    const skeleton = readSkeleton(Buffer.from(text), 2);
    if (skeleton === null) continue;
    // The grammar of the numbers themselves is not looked at, everything around them is.
    const json = parseOrNull(text.replace(/\[\s*[-\d][^\]"nN]*\]/g, '[1]')) as Wire | null;
    assert.notEqual(json, null, text);
    assert.equal(json?.data.length, 2);
    assert.equal(json?.model, skeleton.model);
    accepted++;
  }
  assert.ok(accepted > 1000);
});

test('what is relayed as base64 is the same response to a JSON parser (seeded)', () => {
  const random = randomFrom(31);
  const alphabet = '[]{}",:01.-enN \\aA+/=_';
  let accepted = 0;
  for (let round = 0; round < 20_000; round++) {
    let text = JSON.stringify(inBase64(wide));
    const at = Math.floor(random() * text.length);
    text =
      text.slice(0, at) +
      alphabet[Math.floor(random() * alphabet.length)] +
      text.slice(at + Math.floor(random() * 3));
    const skeleton = readSkeleton(Buffer.from(text), 2);
    if (skeleton === null) continue;
    const json = parseOrNull(text) as Wire | null;
    assert.deepEqual(
      json?.data.map(({ embedding }) => JSON.stringify(embedding)),
      skeleton.vectors.map(String),
    );
    assert.equal(json?.model, skeleton.model);
    accepted++;
  }
  assert.ok(accepted > 1000);
});

test('no body makes the reader throw anything but a FerryError (seeded)', () => {
  const random = randomFrom(29);
  const seeds = [
    JSON.stringify(canonical([a, b])),
    JSON.stringify({ embeddings: [a, b] }),
    JSON.stringify({
      data: [
        { embedding: 'AACAPw==', index: 1 },
        { embedding: 'AACAPw==', index: 0 },
      ],
    }),
  ];
  for (let round = 0; round < 10_000; round++) {
    const body = Buffer.from(seeds[round % 3] ?? '');
    for (let i = 0; i <= random() * 4; i++)
      body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
    const encoding = random() < 0.5 ? 'float' : 'base64';
    try {
      const reply = readEmbeddingsResponse(
        body.subarray(0, random() < 0.2 ? random() * body.length : undefined),
        {
          ...defaults,
          encoding,
        },
      );
      if (!reply.isRelayed && encoding === 'base64') JSON.parse(reply.body.toString());
    } catch (error) {
      assert.ok(error instanceof FerryError, `${error} ${body}`);
    }
  }
});

test('16 x 1536 floats are checked and relayed in well under a millisecond', () => {
  const vectors = Array.from({ length: 16 }, (_, i) =>
    Array.from({ length: 1536 }, (_, k) => Math.sin(i * k + 1) / 10),
  );
  const body = bytes(canonical(vectors));
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 50; round++) {
    const began = process.cpuUsage();
    assert.equal(readEmbeddingsResponse(body, { ...defaults, inputs: 16 }).isRelayed, true);
    best = Math.min(best, cpuMsSince(began));
  }
  assert.ok(best < 0.5, `${best} ms`);
});

function parseOrNull(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

test('repairs of a response are reported by name, none for a canonical one', () => {
  const repairsOf = (body: unknown): string[] => {
    const repairs: string[] = [];
    vectorsOf(body, { onRepair: (repair) => repairs.push(repair) });
    return repairs;
  };
  assert.deepEqual(repairsOf(canonical([a, b])), []);
  assert.deepEqual(repairsOf({ embeddings: [a, b], prompt_eval_count: 5 }), ['embeddings_format']);
  const data = [
    { object: 'embedding', index: 1, embedding: b },
    { object: 'embedding', index: 0, embedding: a },
  ];
  assert.deepEqual(repairsOf({ object: 'list', data, model: 'm' }), ['embeddings_order', 'usage_estimated']);
});
