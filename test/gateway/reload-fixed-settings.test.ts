import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withFixedSettings } from '../../src/gateway/reload.ts';
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
