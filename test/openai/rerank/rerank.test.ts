import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import {
  emptyRerankResponse,
  readRerankRequest,
  readRerankResponse,
} from '../../../src/openai/rerank/rerank.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';

interface Wire {
  id: string;
  model: string;
  results: { index: number; relevance_score: number; document?: unknown }[];
  usage: { prompt_tokens: number; total_tokens: number };
}

const documents = ['zero', 'one', 'two'];

function read(body: unknown, asked: object = {}): Wire {
  const request = readRerankRequest({ query: 'q', documents, ...asked });
  const reply = readRerankResponse(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), {
    request,
    requestedModel: 'asked',
    replyModel: 'upstream',
    scrub: (text) => text,
    newId: () => 'rerank-1',
  });
  return JSON.parse(reply.body.toString()) as Wire;
}

const ranking = (wire: Wire): unknown => wire.results.map((result) => [result.index, result.relevance_score]);

test('S117 a canonical response is sorted by score, with all keys', () => {
  const wire = read({
    id: 'x',
    model: 'bge-reranker',
    results: [
      { index: 0, relevance_score: 0.1 },
      { index: 2, relevance_score: 0.9 },
      { index: 1, relevance_score: 0.5 },
    ],
    usage: { total_tokens: 12 },
  });
  assert.deepEqual(ranking(wire), [
    [2, 0.9],
    [1, 0.5],
    [0, 0.1],
  ]);
  assert.deepEqual([wire.id, wire.model], ['x', 'bge-reranker']);
  assert.deepEqual(wire.usage, { prompt_tokens: 12, total_tokens: 12 });
});

test('Q159 a result without an index gets that of the document which it contains', () => {
  const expected = [
    [2, 0.9],
    [0, 0.5],
  ];
  for (const quote of [(text: string) => ({ document: text }), (text: string) => ({ document: { text } })]) {
    const results = [
      { ...quote('two'), score: 0.9 },
      { ...quote('zero'), score: 0.5 },
    ];
    assert.deepEqual(ranking(read({ results })), expected);
  }
  const equal = read(
    {
      results: [
        { text: 'b', score: 3 },
        { text: 'a', score: 2 },
        { text: 'a', score: 1 },
      ],
    },
    { documents: ['a', { text: 'b' }, 'a'] },
  );
  assert.deepEqual(ranking(equal), [
    [1, 3],
    [0, 2],
    [2, 1],
  ]);
});

test('Q159 score, data, bare lists and bare numbers are read', () => {
  const expected = [
    [1, 0.8],
    [0, 0.2],
  ];
  for (const body of [
    {
      data: [
        { index: 0, score: 0.2 },
        { index: 1, score: 0.8 },
      ],
    },
    [
      { index: 1, score: 0.8 },
      { index: 0, score: 0.2 },
    ],
    [0.2, 0.8],
    { scores: [0.2, 0.8] },
    {
      output: {
        results: [
          { index: 0, relevance_score: '0.2' },
          { index: 1, relevance_score: 0.8 },
        ],
      },
    },
    {
      code: 0,
      data: {
        results: [
          { index: 0, score: 0.2 },
          { index: 1, score: 0.8 },
        ],
      },
    },
    {
      rankings: [
        { index: 1, logit: 0.8 },
        { index: 0, logit: 0.2 },
      ],
    },
  ]) {
    const wire = read(body);
    assert.deepEqual(ranking(wire), expected, JSON.stringify(body));
    assert.deepEqual([wire.id, wire.model], ['rerank-1', 'asked']);
  }
});

test('S117 S118 top_n cuts, and may be larger than the documents', () => {
  const body = { results: documents.map((_, index) => ({ index, relevance_score: index / 10 })) };
  assert.deepEqual(ranking(read(body, { top_n: 1 })), [[2, 0.2]]);
  assert.equal(read(body, { top_n: 50 }).results.length, 3);
  assert.equal(read(body, { top_n: null }).results.length, 3);
});

test('S117 return_documents gives {text} in any form of the upstream, and none when not requested', () => {
  const body = {
    results: [
      { index: 1, relevance_score: 1, document: 'own' },
      { index: 0, relevance_score: 0 },
    ],
  };
  assert.equal('document' in (read(body).results[0] as object), false);
  const wire = read(body, { return_documents: true });
  assert.deepEqual(
    wire.results.map((result) => result.document),
    [{ text: 'own' }, { text: 'zero' }],
  );
});

test('S119 scores are passed on unchanged, logits too', () => {
  const logits = {
    results: [
      { index: 0, score: -3 },
      { index: 1, score: 5.5 },
    ],
  };
  assert.deepEqual(ranking(read(logits)), [
    [1, 5.5],
    [0, -3],
  ]);
});

test('S117 an index out of range, twice, or no ranking at all is a mismatch', () => {
  const kind = (body: unknown): string => {
    try {
      read(body);
    } catch (error) {
      if (error instanceof FerryError) return error.kind;
    }
    return 'none';
  };
  assert.equal(kind({ results: [{ index: 3, score: 1 }] }), 'mismatch');
  assert.equal(kind({ results: [{ index: -1, score: 1 }] }), 'mismatch');
  assert.equal(
    kind([
      { index: 0, score: 1 },
      { index: 0, score: 2 },
    ]),
    'mismatch',
  );
  assert.equal(kind({ results: [] }), 'mismatch');
  assert.equal(kind({ results: [{ index: 0 }] }), 'invalid_response');
  assert.equal(kind({ error: { message: 'x', code: 429 } }), 'rate_limited');
  assert.equal(kind('<html>'), 'invalid_response');
  assert.equal(kind('{"results":[{"index":0'), 'disconnected');
});

test('S118 documents may be strings or objects; a missing query or list is an error; an empty list has an empty ranking', () => {
  assert.equal(readRerankRequest({ query: 'q', documents: [{ text: 'a' }] }).documents, 1);
  assert.equal(readRerankRequest({ query: '', documents: [] }).documents, 0);
  for (const json of [{}, { query: 'q' }, { documents: [] }, { query: 'q', documents: 'a' }]) {
    assert.throws(
      () => readRerankRequest(json),
      (error: unknown) => error instanceof FerryError && error.kind === 'invalid_request',
    );
  }
  assert.deepEqual(JSON.parse(emptyRerankResponse('r', 'm').toString()).results, []);
});

test('no body makes the reader throw anything but a FerryError (seeded)', () => {
  const random = randomFrom(37);
  const seed =
    '{"results":[{"index":0,"relevance_score":0.5},{"index":1,"score":-1}],"usage":{"total_tokens":1}}';
  for (let round = 0; round < 5000; round++) {
    const body = Buffer.from(seed);
    for (let i = 0; i <= random() * 3; i++)
      body[Math.floor(random() * body.length)] = Math.floor(random() * 256);
    try {
      read(body.toString('latin1'));
    } catch (error) {
      assert.ok(error instanceof FerryError, String(error));
    }
  }
});
