import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeptInputs, VectorStore } from '../../src/embeddings-cache/vector-store.ts';

export type OpenStore = (maxBytes: number) => VectorStore;

const MANY = 1024 * 1024;

/** Inputs with a vector of `bytes` bytes each, which cannot be compressed. */
export function keptInputs(
  keys: readonly string[],
  { scope = 'scope', model = 'model', bytes = 1024 }: { scope?: string; model?: string; bytes?: number } = {},
): KeptInputs {
  const inputs = keys.map((key) => ({
    vector: { form: 'float32' as const, bytes: Buffer.alloc(bytes, key) },
    tokens: key.length,
  }));
  return { scope, model, keys, inputs };
}

/** Which of the keys the store has, in words of their vectors. */
export async function keysIn(
  store: VectorStore,
  keys: readonly string[],
  scope = 'scope',
): Promise<(string | null)[]> {
  const { inputs } = await store.find(scope, keys);
  return inputs.map((input) =>
    input === null ? null : Buffer.from(input.vector.bytes).toString('latin1', 0, input.tokens),
  );
}

/** What every store promises. */
export function describeStore(
  name: string,
  withStore: (run: (open: OpenStore) => Promise<void>) => Promise<void>,
) {
  test(`${name}: what was kept is found, in the order that is asked for`, () =>
    withStore(async (open) => {
      const store = open(MANY);
      assert.deepEqual(await keysIn(store, ['a', 'bb']), [null, null]);
      store.keep(keptInputs(['a', 'bb']));
      assert.deepEqual(await keysIn(store, ['bb', 'c', 'a', 'a']), ['bb', null, 'a', 'a']);
      assert.deepEqual(await keysIn(store, ['a'], 'other scope'), [null]);
      const { model } = await store.find('scope', ['a']);
      assert.equal(model, 'model');
      assert.equal(store.stats.entries, 2);
      assert.ok(store.stats.bytes >= 2 * 1024);
    }));

  test(`${name}: text comes back byte for byte`, () =>
    withStore(async (open) => {
      const store = open(MANY);
      const bytes = Buffer.from('[0.10, -1E-3,5.3e-05 ,0.000053]');
      const vector = { form: 'json' as const, bytes };
      store.keep({ scope: 's', model: null, keys: ['k'], inputs: [{ vector, tokens: 3 }] });
      const { model, inputs } = await store.find('s', ['k']);
      assert.equal(model, null);
      const found = inputs[0];
      assert.ok(found);
      assert.equal(found.tokens, 3);
      assert.equal(found.vector.form, 'json');
      assert.equal(Buffer.from(found.vector.bytes).toString(), bytes.toString());
    }));

  test(`${name}: vectors of another model replace those of the scope, and of no other scope`, () =>
    withStore(async (open) => {
      const store = open(MANY);
      store.keep(keptInputs(['a', 'b']));
      store.keep(keptInputs(['a'], { scope: 'other' }));
      store.keep(keptInputs(['b'], { model: 'newer' }));
      assert.deepEqual(await keysIn(store, ['a', 'b']), [null, 'b']);
      assert.equal((await store.find('scope', ['b'])).model, 'newer');
      assert.deepEqual(await keysIn(store, ['a'], 'other'), ['a']);
    }));

  test(`${name}: its bytes stay below the maximum, and the oldest goes first`, () =>
    withStore(async (open) => {
      const maxBytes = 256 * 1024;
      const store = open(maxBytes);
      const keys = Array.from({ length: 200 }, (_, index) => `key-${index}`);
      for (const key of keys) store.keep(keptInputs([key], { bytes: 4096 }));
      const found = await keysIn(store, keys);
      assert.ok(store.stats.bytes <= maxBytes, `${store.stats.bytes} bytes`);
      assert.equal(found.at(-1), 'key-199');
      assert.equal(found[0], null);
      const kept = found.filter((key) => key !== null);
      assert.ok(kept.length > 30, `${kept.length} of 200`);
      assert.deepEqual(kept, keys.slice(-kept.length));
      assert.equal(store.stats.entries, kept.length);
      assert.equal(store.stats.evictions, 200 - kept.length);
    }));

  test(`${name}: what is larger than all of it is not kept`, () =>
    withStore(async (open) => {
      const store = open(64 * 1024);
      store.keep(keptInputs(['large'], { bytes: 128 * 1024 }));
      assert.deepEqual(await keysIn(store, ['large']), [null]);
    }));

  test(`${name}: a smaller maximum drops what does not fit`, () =>
    withStore(async (open) => {
      const store = open(MANY);
      const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`);
      store.keep(keptInputs(keys, { bytes: 4096 }));
      assert.equal((await keysIn(store, keys)).includes(null), false);
      store.resize(128 * 1024);
      const found = await keysIn(store, keys);
      assert.equal(found[0], null);
      assert.equal(found.at(-1), 'key-99');
      assert.ok(store.stats.bytes <= 128 * 1024, `${store.stats.bytes} bytes`);
    }));

  test(`${name}: after it was cleared nothing is found, and it can be used again`, () =>
    withStore(async (open) => {
      const store = open(MANY);
      store.keep(keptInputs(['a']));
      await store.clear();
      assert.deepEqual(await keysIn(store, ['a']), [null]);
      assert.equal(store.stats.entries, 0);
      store.keep(keptInputs(['a']));
      assert.deepEqual(await keysIn(store, ['a']), ['a']);
    }));
}
