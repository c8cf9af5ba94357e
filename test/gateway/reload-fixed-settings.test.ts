import assert from 'node:assert/strict';
import { test } from 'node:test';
import { valuesOfKept, withFixedSettings } from '../../src/gateway/reload.ts';
import { load, MINIMAL } from '../config/config-text.ts';

const running = load(MINIMAL).config;

test('an unchanged configuration changes nothing, secrets and patterns included', () => {
  const text = MINIMAL.replace(/^record:.*$/m, 'record: { redact: ["a+b"] }');
  const first = load(text).config;
  assert.deepEqual(withFixedSettings(load(text).config, first).kept, []);
  assert.deepEqual(withFixedSettings(load(text.replace('a+b', 'a+c')).config, first).kept, ['record']);
});

test('settings that need a restart keep their values and are named', () => {
  const next = load(`${MINIMAL}address: 127.0.0.1:9\ndbaddr: ./other.sqlite\ntimeout: 7\n`).config;
  const { config, kept } = withFixedSettings(next, running);
  assert.deepEqual(kept, ['address', 'dbaddr']);
  assert.equal(config.address, running.address);
  assert.equal(config.dbaddr, running.dbaddr);
  assert.equal(config.timeout, 7_000);
});

test('the values of a setting that needs a restart are named, old and new, but for secrets', () => {
  const valuesFor = (change: string) => {
    const text = MINIMAL.replace(/^(?:record|dbtype|dbaddr|limits|address):.*\n/gm, '');
    const next = load(`${text}${change}\n`).config;
    const running = load(text).config;
    return Object.fromEntries(valuesOfKept(withFixedSettings(next, running).kept, next, running));
  };
  assert.deepEqual(valuesFor('address: 127.0.0.1:9'), {
    address: 'address in use: ":8888", configured: "127.0.0.1:9"',
  });
  assert.deepEqual(valuesFor('record: { content: errors, max_body: 1KiB }'), {
    record:
      'record.content in use: "none", configured: "errors"; record.max_body in use: 65536, configured: 1024',
  });
  assert.deepEqual(valuesFor('limits: { header_bytes: 8KiB }'), {
    'limits.header_bytes': 'limits.header_bytes in use: 65536, configured: 8192',
  });
  assert.deepEqual(valuesFor('dbaddr: "postgres://app:geheim-1@db/llm"\ndbtype: postgres'), {
    dbtype: 'dbtype in use: "sqlite", configured: "postgres"',
    dbaddr: '',
  });
});

test('the level of the log changes, its other settings do not', () => {
  const next = load(`${MINIMAL}log: { level: debug, format: text }\n`).config;
  const { config, kept } = withFixedSettings(next, running);
  assert.deepEqual(kept, ['log (all but its level)']);
  assert.deepEqual(config.log, { ...running.log, level: 'debug' });
  assert.deepEqual(withFixedSettings(load(`${MINIMAL}log: { level: debug }\n`).config, running).kept, []);
});

test('the limit of headers is part of the listening server', () => {
  const next = load(`${MINIMAL}limits: { header_bytes: 8KiB, body: 1KiB }\n`).config;
  const { config, kept } = withFixedSettings(next, running);
  assert.deepEqual(kept, ['limits.header_bytes']);
  assert.equal(config.limits.header_bytes, running.limits.header_bytes);
  assert.equal(config.limits.body, 1024);
});
