import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ToldItems } from '../../src/routing/services/response-item-store.ts';

const message = (id: string, text: string) => ({
  type: 'message',
  id,
  content: [{ type: 'output_text', text }],
});

test('S124 an item is known to the client that was told it, and to no other', () => {
  const told = new ToldItems();
  told.remember('ragflow', message('msg_1', 'Hello'));
  assert.deepEqual(told.recall('ragflow', 'msg_1'), message('msg_1', 'Hello'));
  assert.equal(told.recall('dify', 'msg_1'), null);
  assert.equal(told.recall('ragflow', 'msg_2'), null);
});

test('S124 thinking is not kept', () => {
  const told = new ToldItems();
  told.remember('a', { type: 'reasoning', id: 'rs_1' });
  assert.equal(told.recall('a', 'rs_1'), null);
});

test('S124 what was not used for longest is forgotten first, within the bound for all together', () => {
  const told = new ToldItems(1_000);
  for (const id of ['msg_1', 'msg_2', 'msg_3']) told.remember('a', message(id, 'x'.repeat(200)));
  assert.notEqual(told.recall('a', 'msg_1'), null);
  told.remember('a', message('msg_4', 'x'.repeat(200)));
  assert.equal(told.recall('a', 'msg_2'), null);
  assert.notEqual(told.recall('a', 'msg_1'), null);
});

test('S124 an item that is longer than the bound is not kept, and costs no other its place', () => {
  const told = new ToldItems(1_000);
  told.remember('a', message('msg_1', 'short'));
  told.remember('b', message('msg_2', 'x'.repeat(2_000)));
  assert.equal(told.recall('b', 'msg_2'), null);
  assert.notEqual(told.recall('a', 'msg_1'), null);
});
