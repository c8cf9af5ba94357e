// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the subject.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ConfigError } from '../../src/config/config-error.ts';
import { loadConfig } from '../../src/config/load/load-config.ts';
import { randomFrom } from '../helpers/seeded-random.ts';
import { withFiles } from './config-text.ts';

const sample = readFileSync(new URL('../../config.sample.yaml', import.meta.url), 'utf8');

/** Whole numbers below a bound. */
function wholeFrom(seed: number): (below: number) => number {
  const random = randomFrom(seed);
  return (below) => Math.floor(random() * Math.max(1, below));
}

/** Loads each text; the error of one that does not load, null of one that does. Anything else thrown fails. */
function loadAll(texts: Iterable<string>, check: (error: ConfigError | null, text: string) => void): void {
  withFiles({}, (directory) => {
    const file = join(directory, 'config.yaml');
    for (const text of texts) {
      writeFileSync(file, text);
      try {
        loadConfig(file, {});
        check(null, text);
      } catch (error) {
        assert.ok(
          error instanceof ConfigError,
          `${error instanceof Error ? error.stack : error}\n---\n${text}`,
        );
        check(error, text);
      }
    }
  });
}

const PIECES = [
  '"',
  "'",
  '{',
  '}',
  '[',
  ']',
  ':',
  ',',
  '\n',
  '  ',
  '\t',
  '- ',
  '#',
  '*a',
  '&a ',
  '!x ',
  '|\n',
  '${',
  '${X}',
  '<<: ',
  '\u0000',
  '\uFEFF',
  '---\n',
  '~',
  '%',
  '\\',
];

function* brokenTexts(count: number): Generator<string> {
  for (let seed = 1; seed <= count; seed++) {
    const random = wholeFrom(seed);
    let text = sample.replace(/^#.*\n/gm, '');
    for (let round = random(4); round >= 0; round--) {
      const at = random(text.length);
      const piece = PIECES[random(PIECES.length)] ?? '';
      text = text.slice(0, at) + piece + text.slice(at + random(3) * random(20));
    }
    yield text;
  }
}

test('broken text gives a ConfigError with at least one problem, or loads', () => {
  let broken = 0;
  loadAll(brokenTexts(120), (error) => {
    if (error === null) return;
    broken++;
    assert.ok(error.problems.length > 0 && error.message.length > 0);
  });
  assert.ok(broken > 40, `${broken} of 120`);
});

const MARK = 'S3CR3T-mark-of-this-test';
const VALUES: readonly unknown[] = [
  MARK,
  [MARK],
  { a: MARK },
  { [MARK.length]: MARK },
  null,
  0,
  -1,
  1e300,
  true,
  '',
  [],
  {},
  [[MARK]],
  [null],
  `\${X}${MARK}`,
  '2024-01-01',
  'https://x.example',
];

/** Puts a foreign value at one random place of a tree. */
function planted(tree: unknown, random: (below: number) => number): unknown {
  const isLeaf = typeof tree !== 'object' || tree === null || Object.keys(tree).length === 0;
  if (isLeaf || random(6) === 0) return VALUES[random(VALUES.length)];
  const keys = Object.keys(tree);
  const key = keys[random(keys.length)] ?? '';
  if (Array.isArray(tree))
    return tree.map((item, index) => (String(index) === key ? planted(item, random) : item));
  const record = tree as Readonly<Record<string, unknown>>;
  const planting = { ...record, [key]: planted(record[key], random) };
  return random(5) === 0 ? { ...planting, [keys[random(keys.length)]?.slice(1) ?? '']: MARK } : planting;
}

function* plantedTrees(count: number): Generator<string> {
  const tree: unknown = parse(sample);
  for (let seed = 1; seed <= count; seed++) {
    const random = wholeFrom(seed);
    let text: unknown = tree;
    for (let round = random(6); round >= 0; round--) text = planted(text, random);
    // JSON is YAML.
    yield JSON.stringify(text) ?? '';
  }
}

test('values of the wrong type in every place give a ConfigError that does not contain them', () => {
  let broken = 0;
  loadAll(plantedTrees(200), (error, text) => {
    if (error === null) return;
    broken++;
    assert.ok(error.problems.length > 0);
    assert.ok(!error.message.includes(MARK), `${error.message}\n---\n${text}`);
  });
  assert.ok(broken > 100, `${broken} of 200`);
});
