import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  closeUnreleased,
  imageTags,
  VERSION_PLACES,
  versionDefect,
  versionsIn,
  withVersion,
} from '../../scripts/release-version.ts';

function textOf(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

test('every file that names the version names that of package.json, and gets the next one', () => {
  const { version } = JSON.parse(textOf('package.json')) as { readonly version: string };
  for (const place of VERSION_PLACES) {
    const text = textOf(place.path);
    const found = versionsIn(text, place);
    assert.ok(found.length > 0, place.path);
    assert.deepEqual([...new Set(found)], [version], place.path);
    const next = withVersion(text, place, '98.7.6-rc.5');
    assert.deepEqual([...new Set(versionsIn(next, place))], ['98.7.6-rc.5'], place.path);
    assert.equal(next.replaceAll('98.7.6-rc.5', version), text, `${place.path}: nothing else changes`);
  }
});

test('the lock file names the version of the package twice', () => {
  const place = VERSION_PLACES.find(({ path }) => path === 'package-lock.json');
  assert.ok(place);
  assert.equal(versionsIn(textOf(place.path), place).length, 2);
});

test('a version follows another one only if it is later', () => {
  for (const [current, next] of [
    ['0.1.0', '0.1.1'],
    ['0.1.9', '0.1.10'],
    ['0.9.0', '0.10.0'],
    ['0.10.3', '1.0.0'],
    ['0.1.0', '0.2.0-rc.1'],
    ['0.2.0-rc.1', '0.2.0-rc.2'],
    ['0.2.0-rc.2', '0.2.0'],
  ] as const)
    assert.equal(versionDefect(current, next), null, `${current} ${next}`);
  for (const [current, next] of [
    ['0.2.0', '0.2.0'],
    ['0.2.0', '0.1.9'],
    ['0.2.0', '0.2.0-rc.1'],
    ['1.0.0', '0.9.9'],
    ['0.10.0', '0.9.9'],
  ] as const)
    assert.match(versionDefect(current, next) ?? '', /present version/, `${current} ${next}`);
  for (const text of ['v1.2.3', '1.2', '1.2.3.4', '01.2.3', '1.2.3+5', '1.2.3-', 'next', ''])
    assert.match(versionDefect('0.1.0', text) ?? '', /is no version/, text);
});

test('a release has the image tags of its minor version and latest, a prerelease only its own', () => {
  assert.deepEqual(imageTags('0.2.0'), ['0.2.0', '0.2', 'latest']);
  assert.deepEqual(imageTags('1.4.2'), ['1.4.2', '1.4', '1', 'latest']);
  assert.deepEqual(imageTags('1.4.2-rc.1'), ['1.4.2-rc.1']);
});

test('the Unreleased section becomes that of the version, above the older ones', () => {
  const before = '# Changelog\n\n## Unreleased\n\n### Added\n- One.\n\n## 0.1.0 - 2026-01-02\n\n- First.\n';
  const { changelog, notes } = closeUnreleased(before, '0.2.0', '2026-12-01');
  assert.equal(
    changelog,
    '# Changelog\n\n## Unreleased\n\n## 0.2.0 - 2026-12-01\n\n### Added\n- One.\n\n## 0.1.0 - 2026-01-02\n\n- First.\n',
  );
  assert.equal(notes, '### Added\n- One.\n');
  assert.throws(() => closeUnreleased(changelog, '0.3.0', '2026-12-02'), /nothing to release/);
  assert.throws(() => closeUnreleased('# Changelog\n', '0.3.0', '2026-12-02'), /no line "## Unreleased"/);
});

test('the changelog of this repository has the section that a release closes', () => {
  const text = textOf('CHANGELOG.md').replace(/^## Unreleased$/m, '## Unreleased\n\n- A change.');
  const { changelog, notes } = closeUnreleased(text, '98.7.6', '2026-12-01');
  assert.ok(changelog.includes('\n## Unreleased\n\n## 98.7.6 - 2026-12-01\n\n- A change.\n'));
  assert.ok(notes.startsWith('- A change.\n'));
});
