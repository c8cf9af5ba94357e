import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MemoryStore } from '../../src/embeddings-cache/memory-store.ts';
import { describeStore, keptInputs, keysIn } from './store-contract.ts';

describeStore('in memory', (run) => run((maxBytes) => new MemoryStore(maxBytes)));

test('in memory: what was asked for lately stays', async () => {
  const store = new MemoryStore(16 * 1024);
  for (const key of ['a', 'b', 'c']) store.keep(keptInputs([key], { bytes: 4096 }));
  await keysIn(store, ['a']);
  store.keep(keptInputs(['d'], { bytes: 4096 }));
  assert.deepEqual(await keysIn(store, ['a', 'b', 'c', 'd']), ['a', null, 'c', 'd']);
});

test('in memory: a vector does not keep the response in memory that it is a part of', async () => {
  const store = new MemoryStore(1024 * 1024);
  const response = Buffer.alloc(65_536, 'x');
  const vector = { form: 'float32' as const, bytes: response.subarray(0, 8) };
  store.keep({ scope: 's', model: 'm', keys: ['k'], inputs: [{ vector, tokens: 1 }] });
  const [found] = (await store.find('s', ['k'])).inputs;
  assert.equal(found?.vector.bytes.buffer.byteLength, 8);
});
