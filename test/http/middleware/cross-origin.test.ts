import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseForeignHosts } from '../../../src/http/middleware/cross-origin.ts';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';

const HOME = [
  'localhost',
  'LocalHost:8888',
  'app.localhost',
  '127.0.0.1',
  '127.0.0.1:8888',
  '127.8.9.1',
  '[::1]',
  '[::1]:8888',
  '[0:0:0:0:0:0:0:1]',
];

const FOREIGN = [
  '',
  'evil.example',
  'localhost.evil.example',
  '127.0.0.1.evil.example',
  '127.0.0.1@evil.example',
  'localhost:8888@evil.example',
  'evil.example#localhost',
  'evil.example?localhost',
  'evil.example/127.0.0.1',
  '10.0.0.1',
  '0.0.0.0',
  '128.0.0.1',
  '[::2]',
  '[fe80::1]',
  'xlocalhost',
  'a b',
  'null',
];

test('hosts of this machine are accepted', () => {
  for (const host of HOME) refuseForeignHosts({ host });
  refuseForeignHosts({});
});

test('any other Host is refused, also one that contains a name of this machine', () => {
  for (const host of FOREIGN) assert.throws(() => refuseForeignHosts({ host }), isForeign, host);
});

test('a page of this machine may send requests, a page of any other may not', () => {
  for (const host of HOME) refuseForeignHosts({ host: 'localhost', origin: `http://${host}` });
  for (const origin of [
    'null',
    '',
    ...FOREIGN.map((host) => `https://${host}`),
    'file://',
    'data:text/html,x',
  ])
    assert.throws(() => refuseForeignHosts({ host: 'localhost', origin }), isForeign, origin);
});

function isForeign(error: unknown): boolean {
  return error instanceof FerryError && error.kind === 'not_permitted' && /Host|Origin/.test(error.message);
}
