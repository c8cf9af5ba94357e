import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load-config.ts';

const manual = await readFile(new URL('../../docs/tokens.md', import.meta.url), 'utf8');
const samples = [...manual.matchAll(/```yaml\n(tokens:\n.*?)```/gs)].map((match) => match[1] ?? '');

/** Every variable that the manual mentions has a value. */
const env = Object.fromEntries(
  [...manual.matchAll(/\$\{(\w+)\}/g)].map((match) => [match[1] ?? '', 'a-value-for-it']),
);

for (const [index, sample] of samples.entries()) {
  const names = [...sample.matchAll(/^ {2}(\w+):/gm)].map((match) => match[1] ?? '');
  test(`sample ${index + 1} of docs/tokens.md is valid: ${names.join(', ')}`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tokenferry-manual-'));
    t.after(() => rm(folder, { recursive: true }));
    const upstreams = names.map(
      (name) => `  - { name: up-${name}, endpoint: "https://llm.example/v1", token: ${name} }\n`,
    );
    for (const [name] of sample.matchAll(/[\w-]+\.pem/g)) await writeFile(join(folder, name), 'PEM');
    const file = join(folder, 'config.yaml');
    await writeFile(
      file,
      `noauth: true\naddress: 127.0.0.1:8888\n${sample}upstreams:\n${upstreams.join('')}`,
    );
    assert.deepEqual(Object.keys(loadConfig(file, env).config.tokens), names);
  });
}

test('the manual has samples', () => assert.ok(samples.length > 20));
