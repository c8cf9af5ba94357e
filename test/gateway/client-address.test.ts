import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClientAddresses } from '../../src/gateway/client-address.ts';

function check(
  trusted: readonly string[],
  rows: readonly (readonly [peer: string, forwardedFor: string | undefined, client: string])[],
): void {
  const addresses = new ClientAddresses(trusted);
  for (const [peer, forwardedFor, client] of rows)
    assert.equal(addresses.of(peer, forwardedFor), client, `${peer} forwarding ${forwardedFor}`);
}

test('without trusted proxies the header is ignored', () => {
  check(
    [],
    [
      ['10.0.0.1', '203.0.113.7', '10.0.0.1'],
      ['::ffff:10.0.0.1', undefined, '10.0.0.1'],
    ],
  );
  assert.equal(new ClientAddresses([]).of(undefined, undefined), '');
});

test('addresses and networks of both families are trusted', () => {
  check(
    ['10.0.0.0/8', '192.168.7.1', 'fd00::/8'],
    [
      ['10.1.2.3', '203.0.113.7', '203.0.113.7'],
      ['::ffff:10.1.2.3', '203.0.113.7', '203.0.113.7'],
      ['192.168.7.1', '203.0.113.7', '203.0.113.7'],
      ['192.168.7.2', '203.0.113.7', '192.168.7.2'],
      ['fd12::1', '2001:db8::1', '2001:db8::1'],
      ['fe80::1', '2001:db8::1', 'fe80::1'],
    ],
  );
});

test('loopback, linklocal and uniquelocal are their networks', () => {
  check(
    ['loopback'],
    [
      ['127.0.0.1', '203.0.113.7', '203.0.113.7'],
      ['127.9.9.9', '203.0.113.7', '203.0.113.7'],
      ['::1', '203.0.113.7', '203.0.113.7'],
      ['10.0.0.1', '203.0.113.7', '10.0.0.1'],
    ],
  );
  check(
    ['linklocal', 'uniquelocal'],
    [
      ['169.254.1.1', '203.0.113.7', '203.0.113.7'],
      ['fe80::1', '203.0.113.7', '203.0.113.7'],
      ['fe80::1%eth0', '203.0.113.7', '203.0.113.7'],
      ['10.0.0.1', '203.0.113.7', '203.0.113.7'],
      ['172.16.0.1', '203.0.113.7', '203.0.113.7'],
      ['172.32.0.1', '203.0.113.7', '172.32.0.1'],
      ['192.168.0.1', '203.0.113.7', '203.0.113.7'],
      ['fd00::1', '203.0.113.7', '203.0.113.7'],
      ['127.0.0.1', '203.0.113.7', '127.0.0.1'],
    ],
  );
});

test('of several hops the nearest that is not trusted is the client', () => {
  check(
    ['10.0.0.0/8'],
    [
      ['10.0.0.1', '198.51.100.1, 203.0.113.7, 10.0.0.2', '203.0.113.7'],
      ['10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
      ['10.0.0.1', '', '10.0.0.1'],
      ['10.0.0.1', undefined, '10.0.0.1'],
    ],
  );
});

test('an entry with a port is parsed, and nothing before an invalid entry is trusted', () => {
  check(
    ['10.0.0.0/8'],
    [
      ['10.0.0.1', '203.0.113.7:51234', '203.0.113.7'],
      ['10.0.0.1', '[2001:db8::1]:51234', '2001:db8::1'],
      ['10.0.0.1', '[2001:db8::1]', '2001:db8::1'],
      ['10.0.0.1', '198.51.100.1, unknown', '10.0.0.1'],
      ['10.0.0.1', '198.51.100.1, unknown, 10.0.0.2', '10.0.0.2'],
    ],
  );
});

test('an invalid network is not ignored', () => {
  assert.throws(() => new ClientAddresses(['proxy.example']), /"proxy.example" is no network/);
});
