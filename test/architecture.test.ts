import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  importsOf,
  readSources,
  type SourceFile,
  type Violation,
  violationsIn,
} from '../scripts/architecture.ts';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const sources = readSources(root, 'src');
const users = ['test', 'scripts', 'bench'].flatMap((folder) => readSources(root, folder));

/** What the rules say about `files` added to an otherwise orderly tree. */
function seeded(...files: SourceFile[]): Violation[] {
  const ground = [
    { path: 'src/lib/clock.ts', text: '' },
    { path: 'src/tokens/lease.ts', text: "import { x } from '../lib/clock.ts';\n" },
    { path: 'src/routing/router.ts', text: "import type { Lease } from '../tokens/lease.ts';\n" },
  ];
  assert.deepEqual(violationsIn(ground), []);
  return violationsIn([...ground, ...files]);
}

function rulesOf(violations: Violation[]): string[] {
  return violations.map((violation) => violation.rule);
}

test('the source tree keeps its rules', () => {
  assert.ok(sources.length > 0);
  assert.deepEqual(violationsIn(sources, users), []);
});

test('an import of a higher layer is a violation', () => {
  const found = seeded({
    path: 'src/tokens/probe.ts',
    text: "import { Router } from '../routing/router.ts';\n",
  });
  assert.deepEqual(rulesOf(found), ['layer']);
});

test('an import up the steps within a layer is a violation, one down is not', () => {
  const [low, high] = ['src/openai/chat/framing/probe.ts', 'src/openai/chat/writing/probe.ts'];
  const up = seeded(
    { path: high, text: '' },
    { path: low, text: "import { x } from '../writing/probe.ts';\n" },
  );
  assert.deepEqual(rulesOf(up), ['step']);
  const down = seeded(
    { path: low, text: '' },
    { path: high, text: "import { x } from '../framing/probe.ts';\n" },
  );
  assert.deepEqual(rulesOf(down), []);
});

test('lib may not import another layer', () => {
  const found = seeded({ path: 'src/lib/stage.ts', text: "export { Lease } from '../tokens/lease.ts';\n" });
  assert.deepEqual(rulesOf(found), ['layer']);
});

test('an import up the list of layers is a violation, a type too', () => {
  const text = "import {\n  type Lease,\n} from '../tokens/lease.ts';\n";
  assert.deepEqual(rulesOf(seeded({ path: 'src/config/response.ts', text })), ['layer']);
});

test('a dynamic import and a worker count as imports', () => {
  const dynamic = "const router = await import('../routing/router.ts');\n";
  assert.deepEqual(rulesOf(seeded({ path: 'src/tokens/probe.ts', text: dynamic })), ['layer']);
  const worker = "  new Worker(new URL('../routing/router.ts', import.meta.url));\n";
  assert.deepEqual(rulesOf(seeded({ path: 'src/tokens/probe.ts', text: worker })), ['layer']);
});

test('a cycle of files is a violation even inside one layer', () => {
  const found = seeded(
    { path: 'src/tokens/a.ts', text: "import { b } from './b.ts';\n" },
    { path: 'src/tokens/b.ts', text: "import { c } from './c.ts';\n" },
    { path: 'src/tokens/c.ts', text: "import { a } from './a.ts';\n" },
  );
  assert.deepEqual(found, [
    { rule: 'cycle', message: 'src/tokens/a.ts → src/tokens/b.ts → src/tokens/c.ts → src/tokens/a.ts' },
  ]);
});

test('a package outside the layer that owns it is a violation', () => {
  const found = seeded({ path: 'src/routing/transport.ts', text: "import { Agent } from 'undici';\n" });
  assert.deepEqual(rulesOf(found), ['owner']);
  assert.deepEqual(
    seeded({ path: 'src/upstream/transport.ts', text: "import { Agent } from 'undici';\n" }),
    [],
  );
  assert.deepEqual(
    seeded({ path: 'src/tokens/issuer-call.ts', text: "import { Agent } from 'undici';\n" }),
    [],
  );
});

test('of the commands only verify may use the openai client', () => {
  const text = "import OpenAI from 'openai';\n";
  assert.deepEqual(seeded({ path: 'src/cli/verify.ts', text }), []);
  assert.deepEqual(rulesOf(seeded({ path: 'src/cli/check.ts', text })), ['owner']);
});

test('a package without an owner is a violation, a builtin module is not', () => {
  assert.deepEqual(
    rulesOf(seeded({ path: 'src/http/probe.ts', text: "import _ from '@scope/new/deep';\n" })),
    ['owner'],
  );
  assert.deepEqual(seeded({ path: 'src/http/probe.ts', text: "import { once } from 'node:events';\n" }), []);
});

test('a name without a noun, a name in another case and a layer that is not listed are violations', () => {
  assert.deepEqual(rulesOf(seeded({ path: 'src/tokens/utils.ts', text: '' })), ['name']);
  assert.deepEqual(rulesOf(seeded({ path: 'src/http/helpers/cors.ts', text: '' })), ['name']);
  assert.deepEqual(rulesOf(seeded({ path: 'src/http/common-headers.ts', text: '' })), ['name']);
  assert.deepEqual(rulesOf(seeded({ path: 'src/tokens/tokenHolder.ts', text: '' })), ['name']);
  assert.deepEqual(rulesOf(seeded({ path: 'src/attic/box.ts', text: '' })), ['layer']);
});

test('an import of a file that is not there is a violation', () => {
  const found = seeded({ path: 'src/http/probe.ts', text: "import '../tokens/gone.ts';\n" });
  assert.deepEqual(rulesOf(found), ['missing']);
});

test('an export that no other file imports is a violation', () => {
  const files = [
    {
      path: 'src/lib/a.ts',
      text: 'export const used = 1;\nexport const tested = 2;\nexport const unused = 3;\n',
    },
    { path: 'src/lib/b.ts', text: "import { used } from './a.ts';\n" },
  ];
  const users = [{ path: 'test/a.test.ts', text: "import { tested } from '../src/lib/a.ts';\n" }];
  assert.deepEqual(violationsIn(files, users), [
    { rule: 'export', message: 'src/lib/a.ts: no other file imports unused' },
  ]);
});

test('a folder of more than 20 files is a violation', () => {
  const files = Array.from({ length: 21 }, (_, at) => ({ path: `src/lib/file-${at}.ts`, text: '' }));
  assert.deepEqual(rulesOf(violationsIn(files)), ['folder']);
});

test('text that only looks like an import is not one', () => {
  const text =
    " * import { a } from '../routing/router.ts'\nconst shown = \"import OpenAI from 'openai'\";\n";
  assert.deepEqual(importsOf(text), []);
});

// The patterns below are written so that they do not find themselves.
const FOREIGN_TEXT: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  {
    what: 'the host of a package registry',
    pattern: /\bregistry[.](?:npmjs|yarnpkg|npmmirror)|\bpypi[.]org\/simple|pythonhosted[.]/i,
  },
  {
    what: 'a home folder',
    pattern: /\/home[/][a-z][\w-]*\/|\/Users[/][A-Z]?[a-z]\w*\/|\/root[/]\w|\b[A-Z]:\\Users/,
  },
  { what: 'the folder of this very clone', pattern: new RegExp(escaped(distinctPart(root))) },
];

/** The clone's folder where its path is long enough to be nobody else's word (`/app` is not). */
function distinctPart(path: string): string {
  return dirname(path) === '/' ? `${path}/${basename(path)}/never` : path;
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

function foreignTextIn(text: string): string[] {
  return FOREIGN_TEXT.filter(({ pattern }) => pattern.test(text)).map(({ what }) => what);
}

test('no file of the repository names a package registry or a path of somebody’s machine', () => {
  const listed = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' }).split('\0');
  const findings = listed
    .filter((path) => path !== '' && existsSync(join(root, path)))
    .map((path) => ({ path, found: foreignTextIn(readFileSync(join(root, path), 'utf8')) }))
    .filter(({ found }) => found.length > 0);
  assert.deepEqual(findings, []);
});

test('a registry host, a home folder and the clone’s own folder are found when they are there', () => {
  assert.equal(foreignTextIn(`see https://${['registry', 'npmjs', 'org'].join('.')}/x`).length, 1);
  assert.equal(foreignTextIn(`cp ${['', 'home', 'ann', 'x'].join('/')}`).length, 1);
  if (dirname(root) !== '/') assert.ok(foreignTextIn(`cd ${root}`).length >= 1);
});

const LOCK_FILES = ['', 'test/clients', 'test/applications'].map((folder) =>
  join(folder, 'package-lock.json'),
);

for (const file of LOCK_FILES) {
  test(`${file} names no download address`, () => {
    assert.ok(!readFileSync(join(root, file), 'utf8').includes('"resolved"'));
  });

  // A mirror that has not all of them leaves them out; an entry with version, os and cpu is enough.
  test(`${file} is complete for every platform, so that npm ci takes it`, () => {
    const lock = JSON.parse(readFileSync(join(root, file), 'utf8')) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const missing = Object.values(lock.packages)
      .flatMap((entry) => Object.keys(entry.optionalDependencies ?? {}))
      .filter((name) => !Object.keys(lock.packages).some((path) => path.endsWith(`node_modules/${name}`)));
    assert.deepEqual(missing, []);
  });
}

test('each package has a reason in CONTRIBUTING.md', () => {
  const reasons = readFileSync(join(root, 'CONTRIBUTING.md'), 'utf8');
  const { dependencies = {}, devDependencies = {} } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  ) as Record<string, Record<string, string>>;
  const missing = Object.keys({ ...dependencies, ...devDependencies }).filter(
    (name) => !name.startsWith('@types/') && !reasons.includes(`\`${name}\``),
  );
  assert.deepEqual(missing, []);
});
