import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../../src/config/load/load-config.ts';
import { sourceSettings } from '../../../src/gateway/token-settings.ts';
import type { TokenSource } from '../../../src/tokens/sources/token-source.ts';
import { makeSource } from '../../helpers/source-bench.ts';

const manual = await readFile(new URL('../../../docs/tokens.md', import.meta.url), 'utf8');
const samples = [...manual.matchAll(/```yaml\n((?:shared[^\n]*\n)*tokens:\n.*?)```/gs)].map(
  (match) => match[1] ?? '',
);

/** Stands for every PEM file that the samples name. */
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
const key = rsa.export({ type: 'pkcs8', format: 'pem' });

/** Every variable that the manual mentions has a value. */
const env = {
  ...Object.fromEntries(
    [...manual.matchAll(/\$\{(\w+)\}/g)].map((match) => [match[1] ?? '', 'a-value-for-it']),
  ),
  SHARED_DATABASE_URL: 'postgres://user:password@db.example/tokenferry',
  SHARED_KEY: Buffer.alloc(32).toString('base64'),
};

/** Stands for every source whose tokens are used once. */
const TICKETS: TokenSource = { kind: 'static', key: '', acquire: () => assert.fail('not called') };

for (const [index, sample] of samples.entries()) {
  const names = [...sample.matchAll(/^ {2}(\w+):/gm)].map((match) => match[1] ?? '');
  test(`sample ${index + 1} of docs/tokens.md is valid: ${names.join(', ')}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tokenferry-manual-'));
    t.after(() => rm(folder, { recursive: true }));
    const upstreams = names.map(
      (name) => `  - { name: up-${name}, endpoint: "https://llm.example/v1", token: ${name} }\n`,
    );
    for (const [name] of sample.matchAll(/[\w-]+\.pem/g)) await writeFile(join(folder, name), key);
    const file = join(folder, 'config.yaml');
    await writeFile(
      file,
      `noauth: true\naddress: 127.0.0.1:8888\n${sample}upstreams:\n${upstreams.join('')}`,
    );
    await writeFile(join(folder, 'token-source.mjs'), "export default () => 'abcdef'");
    const { config } = loadConfig(file, env);
    const { tokens } = config;
    assert.deepEqual(Object.keys(tokens), names);
    for (const [name, source] of Object.entries(tokens)) {
      const made = makeSource(sourceSettings(source, config), {
        name,
        baseDir: folder,
        env,
        sourceOf: () => TICKETS,
      });
      t.after(() => made.close());
    }
  });
}

test('the manual has samples', () => assert.ok(samples.length > 20));
