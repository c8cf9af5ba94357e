import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { type RunningRequest, RunningRequests } from '../../../src/http/middleware/running-requests.ts';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';

const END = new FerryError('shutting_down', { message: 'the end' });

function newRequest(): RunningRequest & { readonly aborts: unknown[] } {
  const aborts: unknown[] = [];
  const response = { socket: null } as ServerResponse;
  return { response, slot: -1, aborts, abort: (reason) => void aborts.push(reason) };
}

test('requests are counted from their start to their end, in any order', () => {
  const running = new RunningRequests();
  const all = Array.from({ length: 50 }, newRequest);
  for (const request of all) running.add(request);
  assert.throws(() => running.refuseWhenFull(49), { kind: 'overloaded' });
  running.refuseWhenFull(50);
  const inDisorder = all.map((_, position) => all[(position * 17) % 50] ?? newRequest());
  for (const [position, request] of inDisorder.entries()) {
    running.delete(request);
    running.delete(request);
    running.refuseWhenFull(49 - position);
    if (position === 49) continue;
    assert.throws(() => running.refuseWhenFull(48 - position), 'the second delete changes nothing');
  }
});

test('abortAll aborts only the running requests', () => {
  const running = new RunningRequests();
  const [ended, first, second] = [newRequest(), newRequest(), newRequest()];
  for (const request of [ended, first, second]) running.add(request);
  running.delete(ended);
  running.abortAll(END);
  assert.deepEqual([ended.aborts, first.aborts, second.aborts], [[], [END], [END]]);
});

test('drained resolves at once, when the last request ends, or at the time limit', async () => {
  const running = new RunningRequests();
  assert.equal(await running.drained(1_000), true);
  const request = newRequest();
  running.add(request);
  const drained = running.drained(60_000);
  running.delete(request);
  assert.equal(await drained, true);
  running.add(request);
  assert.equal(await running.drained(5), false);
});

test('requests that arrive while new ones are refused are not waited for', async () => {
  const running = new RunningRequests();
  const [early, late] = [newRequest(), newRequest()];
  running.add(early);
  running.refuseNew();
  assert.throws(() => running.refuseWhenFull(9), { kind: 'shutting_down' });
  const drained = running.drained(60_000);
  running.add(late);
  running.abortAll(END);
  assert.deepEqual([early.aborts, late.aborts], [[END], []]);
  running.delete(early);
  assert.equal(await drained, true);
  running.delete(late);
});

test('the response on a connection is found while it is on it, also that of a refused request', () => {
  const running = new RunningRequests();
  const socket = {} as Socket;
  const other = {} as Socket;
  const [first, queued, refused] = [newRequest(), newRequest(), newRequest()];
  running.add(first);
  running.add(queued);
  assert.equal(running.responseOn(socket), null);
  Object.assign(first.response, { socket });
  assert.equal(running.responseOn(socket), first.response);
  assert.equal(running.responseOn(other), null);
  running.refuseNew();
  Object.assign(refused.response, { socket: other });
  running.add(refused);
  assert.equal(running.responseOn(other), refused.response);
  Object.assign(refused.response, { socket: null });
  assert.equal(running.responseOn(other), null, 'it is over');
});
