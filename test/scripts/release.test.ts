import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VERSION_PLACES, versionsIn } from '../../scripts/release-version.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A repository of its own with the files of this one as they are now, committed, and its packages. */
class ScratchClone {
  readonly folder: string;

  constructor(t: TestContext) {
    this.folder = temporaryDirectory(t);
    const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: root,
      encoding: 'utf8',
    });
    for (const path of listed.split('\0').filter((one) => one !== '' && existsSync(join(root, one)))) {
      mkdirSync(dirname(join(this.folder, path)), { recursive: true });
      copyFileSync(join(root, path), join(this.folder, path));
    }
    symlinkSync(join(root, 'node_modules'), join(this.folder, 'node_modules'));
    // After a release its own section is empty.
    const changelog = this.text('CHANGELOG.md').replace(/^## Unreleased$/m, '## Unreleased\n\n- A change.');
    writeFileSync(join(this.folder, 'CHANGELOG.md'), changelog);
    this.git('init', '--quiet', '--initial-branch=main');
    // The pattern of .gitignore is for a folder, not for a link.
    appendFileSync(join(this.folder, '.git/info/exclude'), 'node_modules\n');
    this.git('config', 'user.name', 'Release Test');
    this.git('config', 'user.email', 'release@test.example');
    this.commit();
  }

  git(...args: string[]): string {
    return execFileSync('git', args, { cwd: this.folder, encoding: 'utf8' }).trim();
  }

  commit(): void {
    this.git('add', '--all');
    this.git('commit', '--quiet', '--message', 'test: state');
  }

  text(path: string): string {
    return readFileSync(join(this.folder, path), 'utf8');
  }

  release(...args: string[]) {
    return spawnSync(process.execPath, ['scripts/release.ts', ...args], {
      cwd: this.folder,
      encoding: 'utf8',
    });
  }
}

test('without --write a release is printed and nothing is changed; what cannot be released is refused', (t) => {
  const clone = new ScratchClone(t);
  const head = clone.git('rev-parse', 'HEAD');
  const planned = clone.release('98.0.0', '--no-image');
  assert.equal(planned.status, 0, planned.stderr);
  assert.match(planned.stdout, /checks {3}npm test, npm run audit/);
  assert.match(planned.stdout, /change {3}deploy\/helm\/tokenferry\/Chart\.yaml: \S+ → 98\.0\.0 \(2 times\)/);
  assert.match(planned.stdout, /change {3}CHANGELOG\.md: ## 98\.0\.0 - \d{4}-\d\d-\d\d/);
  assert.match(planned.stdout, /Nothing was changed: --write makes the release\.\n$/);

  const refusals: [args: string[], prepare: () => void, reason: RegExp][] = [
    [[], () => {}, /^Name one version\./],
    [['1.2'], () => {}, /^"1\.2" is no version/],
    [['0.0.1'], () => {}, /^0\.0\.1 is not later than the present version/],
    [['98.0.0', '--unknown'], () => {}, /^Unknown option '--unknown'; --help/],
    [['98.0.0'], () => clone.git('tag', 'v98.0.0'), /^The tag v98\.0\.0 exists\.$/m],
    [
      ['98.0.0', '--write'],
      () => {
        clone.git('tag', '--delete', 'v98.0.0');
        writeFileSync(join(clone.folder, 'left-over.txt'), 'x');
      },
      /^A release is made of what is committed, and there are changes that are not committed:\n\?\? left-over\.txt$/m,
    ],
    [
      ['98.0.0', '--write'],
      () => {
        writeFileSync(
          join(clone.folder, 'Dockerfile'),
          clone.text('Dockerfile').replace(/^ARG VERSION=.*/m, 'ARG VERSION=9.9.9'),
        );
        clone.commit();
      },
      /^Dockerfile names 9\.9\.9 and package\.json \S+\. Make them equal first\.$/m,
    ],
  ];
  for (const [args, prepare, reason] of refusals) {
    prepare();
    const state = clone.git('status', '--porcelain');
    const before = clone.git('rev-parse', 'HEAD');
    const { status, stderr } = clone.release(...args, '--no-image');
    assert.notEqual(status, 0);
    assert.match(stderr, reason);
    assert.equal(clone.git('rev-parse', 'HEAD'), before);
    assert.equal(clone.git('status', '--porcelain'), state);
  }
  assert.ok(!existsSync(join(clone.folder, 'release')));
  assert.equal(clone.git('rev-list', '--count', `${head}..HEAD`), '1', 'that of this test');
});

test('a release is a commit, a tag, a package that runs, its SBOM, notes and checksums', (t) => {
  const clone = new ScratchClone(t);
  const { status, stdout, stderr } = clone.release('98.1.0', '--write', '--skip-tests', '--no-image');
  assert.equal(status, 0, stderr + stdout);
  assert.equal(clone.git('log', '-1', '--format=%s'), 'chore(release): 98.1.0');
  assert.equal(clone.git('describe', '--exact-match'), 'v98.1.0');
  assert.equal(clone.git('status', '--porcelain'), '', 'files of the release are ignored by git');
  for (const place of VERSION_PLACES)
    assert.deepEqual([...new Set(versionsIn(clone.text(place.path), place))], ['98.1.0'], place.path);
  assert.match(clone.text('CHANGELOG.md'), /^## Unreleased\n\n## 98\.1\.0 - \d{4}-\d\d-\d\d$/m);

  const made = join(clone.folder, 'release/98.1.0');
  assert.deepEqual(readdirSync(made).sort(), [
    'SHA256SUMS',
    'notes.txt',
    'tokenferry-98.1.0.cdx.json',
    'tokenferry-98.1.0.tgz',
  ]);
  for (const line of readFileSync(join(made, 'SHA256SUMS'), 'utf8').trimEnd().split('\n')) {
    const [sum, name = ''] = line.split('  ');
    assert.equal(
      createHash('sha256')
        .update(readFileSync(join(made, name)))
        .digest('hex'),
      sum,
      name,
    );
  }

  const sbom = JSON.parse(readFileSync(join(made, 'tokenferry-98.1.0.cdx.json'), 'utf8')) as {
    readonly bomFormat: string;
    readonly metadata: { readonly component: { readonly name: string; readonly version: string } };
    readonly components: readonly { readonly name: string }[];
  };
  assert.equal(sbom.bomFormat, 'CycloneDX');
  assert.equal(sbom.metadata.component.name, 'tokenferry');
  assert.equal(sbom.metadata.component.version, '98.1.0');
  const names = new Set(sbom.components.map(({ name }) => name));
  const { dependencies, devDependencies } = JSON.parse(clone.text('package.json')) as Record<string, object>;
  for (const name of Object.keys(dependencies ?? {})) assert.ok(names.has(name), name);
  for (const name of Object.keys(devDependencies ?? {})) assert.ok(!names.has(name), name);

  execFileSync('tar', ['-xzf', 'tokenferry-98.1.0.tgz'], { cwd: made });
  symlinkSync(join(root, 'node_modules'), join(made, 'package/node_modules'));
  const command = join(made, 'package/dist/tokenferry.mjs');
  const printed = execFileSync(process.execPath, [command, '--version'], { encoding: 'utf8' });
  assert.match(printed, /^tokenferry 98\.1\.0 /);
  const packed = execFileSync('tar', ['-tzf', 'tokenferry-98.1.0.tgz'], { cwd: made, encoding: 'utf8' });
  const stray = packed
    .split('\n')
    .filter((path) => /^package\/(?:src|test|scripts|deploy|docs|ui)\/|\.(?:ts|sqlite|env)$/.test(path));
  assert.deepEqual(stray, []);
});

test('a release whose package cannot be built leaves no commit and no tag', (t) => {
  const clone = new ScratchClone(t);
  const manifest = clone.text('package.json').replace(/("prepack": )"[^"]+"/, '$1"exit 3"');
  writeFileSync(join(clone.folder, 'package.json'), manifest);
  clone.commit();
  const head = clone.git('rev-parse', 'HEAD');
  const { status, stderr } = clone.release('98.2.0', '--write', '--skip-tests', '--no-image');
  assert.equal(status, 1);
  assert.match(stderr, /npm pack --json failed[\s\S]*its commit is undone/);
  assert.equal(clone.git('rev-parse', 'HEAD'), head);
  assert.equal(clone.git('tag', '--list'), '');
});
