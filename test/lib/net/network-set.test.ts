import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NetworkSet } from '../../../src/lib/net/network-set.ts';

function setOf(...entries: string[]): NetworkSet {
  const networks = new NetworkSet();
  for (const entry of entries) assert.ok(networks.add(entry), entry);
  return networks;
}

test('addresses and networks of both families are found again', () => {
  const networks = setOf('192.168.1.1', '10.0.0.0/8', 'fd00::/8', '::1');
  for (const inside of ['192.168.1.1', '10.200.0.7', '::ffff:10.0.0.1', 'fdff::1', '::1', 'fd00::1%eth0'])
    assert.ok(networks.has(inside), inside);
  for (const outside of ['192.168.1.2', '11.0.0.1', 'fe80::1', '::2', 'localhost', ''])
    assert.ok(!networks.has(outside), outside);
});

test('text that is neither address nor network is not added', () => {
  const networks = new NetworkSet();
  const wrong = [
    '',
    'localhost',
    '1.2.3',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    'fd00::/129',
    'fe80::1%lo',
    '*',
  ];
  for (const entry of wrong) assert.ok(!networks.add(entry), entry);
  assert.ok(!networks.has('10.0.0.1'));
});
