import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ResponseItemStore } from '../../../src/http/routes/response-item-store.ts';

const message = (id: string, text: string) => ({
  type: 'message',
  id,
  content: [{ type: 'output_text', text }],
});

test('S124 an item is known to the client that it was sent to, and to no other', () => {
  const items = new ResponseItemStore();
  items.save('ragflow', message('msg_1', 'Hello'));
  assert.deepEqual(items.find('ragflow', 'msg_1'), message('msg_1', 'Hello'));
  assert.equal(items.find('dify', 'msg_1'), null);
  assert.equal(items.find('ragflow', 'msg_2'), null);
});

test('S124 reasoning is not stored', () => {
  const items = new ResponseItemStore();
  items.save('a', { type: 'reasoning', id: 'rs_1' });
  assert.equal(items.find('a', 'rs_1'), null);
});

test('S124 the least recently used items are evicted first, within the limit of all together', () => {
  const items = new ResponseItemStore(1_000);
  for (const id of ['msg_1', 'msg_2', 'msg_3']) items.save('a', message(id, 'x'.repeat(200)));
  assert.notEqual(items.find('a', 'msg_1'), null);
  items.save('a', message('msg_4', 'x'.repeat(200)));
  assert.equal(items.find('a', 'msg_2'), null);
  assert.notEqual(items.find('a', 'msg_1'), null);
});

test('S124 an item over the limit is not stored, and evicts no other', () => {
  const items = new ResponseItemStore(1_000);
  items.save('a', message('msg_1', 'short'));
  items.save('b', message('msg_2', 'x'.repeat(2_000)));
  assert.equal(items.find('b', 'msg_2'), null);
  assert.notEqual(items.find('a', 'msg_1'), null);
});
