/**
 * `npm run release -- VERSION`: what a release would change and run; with `--write` it is made: version and changelog are
 * committed and tagged, and the package, its SBOM, the image and the checksums are built. Nothing is pushed or published.
 */
import { execFileSync, type StdioOptions } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ContainerEngine, findEngine } from './container-engine.ts';
import { writeNpmSettings } from './npm-settings.ts';
import {
  closeUnreleased,
  imageTags,
  isPrerelease,
  VERSION_PLACES,
  versionDefect,
  versionsIn,
  withVersion,
} from './release-version.ts';
import { toolOptions } from './tool-options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

const USAGE = `npm run release -- VERSION [options]

  --write          makes the release; without it only what would be done is checked and printed
  --skip-tests     without npm test and npm run audit, when both passed for this commit already
  --no-image       without the container image; it is also left out where neither podman nor docker is
  --image NAME     name of the image with its registry (tokenferry)
  --base IMAGE     base image of the build ($BASE_IMAGE, else that of the Dockerfile)
  --output FOLDER  where the files go (release/VERSION)

docs/releasing.md has the steps before and after.`;

const CHANGELOG = 'CHANGELOG.md';
const IMAGE_BUILD_LIMIT_MS = 900_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Without these the package would not run, or not have its page. */
const NEEDED_IN_PACKAGE = [
  'dist/tokenferry.mjs',
  'dist/main.js',
  'dist/ui/index.html',
  'config.sample.yaml',
  'openapi.yaml',
  'README.md',
  'LICENSE',
];

const { values, positionals } = toolOptions(USAGE, {
  allowPositionals: true,
  options: {
    write: { type: 'boolean', default: false },
    'skip-tests': { type: 'boolean', default: false },
    image: { type: 'string', default: 'tokenferry' },
    'no-image': { type: 'boolean', default: false },
    base: { type: 'string' },
    output: { type: 'string' },
  },
});

try {
  const [version] = positionals;
  if (version === undefined || positionals.length !== 1) throw new Error(`Name one version.\n\n${USAGE}`);
  await release(version);
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}

async function release(version: string): Promise<void> {
  const changes = plannedChanges(version);
  const engine = values['no-image'] ? null : findEngine();
  const output = values.output ?? join(root, 'release', version);
  printPlan(version, changes, engine, output);
  if (!values.write) {
    console.log('\nNothing was changed: --write makes the release.');
    return;
  }
  if (!values['skip-tests']) {
    npm(['test'], 'inherit');
    npm(['run', 'audit'], 'inherit');
    requireCleanTree('npm test changed files');
  }
  const before = git('rev-parse', 'HEAD');
  for (const { path, text } of changes.files) writeFileSync(join(root, path), text);
  git('commit', '--quiet', '--all', '--message', `chore(release): ${version}`);
  try {
    mkdirSync(output, { recursive: true });
    writeFileSync(join(output, 'notes.txt'), changes.notes);
    makePackage(output);
    makeSbom(version, output);
    if (engine !== null) await makeImage(engine, version);
    writeChecksums(output);
    git('tag', '--annotate', `v${version}`, '--message', `tokenferry ${version}`);
  } catch (error) {
    // The tree had no changes, so that nothing but the commit of the release is undone.
    git('reset', '--quiet', '--hard', before);
    throw new Error(`${(error as Error).message}\nThe release was not made and its commit is undone.`);
  }
  printNextSteps(version, output, engine);
}

interface PlannedChanges {
  readonly files: readonly { readonly path: string; readonly text: string; readonly what: string }[];
  readonly notes: string;
}

/** The files as they will be. Throws when the release cannot be made. */
function plannedChanges(version: string): PlannedChanges {
  const { version: current } = JSON.parse(readText('package.json')) as { readonly version: string };
  const defect = versionDefect(current, version);
  if (defect !== null) throw new Error(`${defect}.`);
  requireCleanTree('there are changes that are not committed');
  if (git('tag', '--list', `v${version}`) !== '') throw new Error(`The tag v${version} exists.`);
  const files = VERSION_PLACES.map((place) => {
    const text = readText(place.path);
    const found = versionsIn(text, place);
    if (found.length === 0 || found.some((one) => one !== current))
      throw new Error(
        `${place.path} names ${found.join(', ') || 'no version'} and package.json ${current}. Make them equal first.`,
      );
    return {
      path: place.path,
      text: withVersion(text, place, version),
      what: `${current} → ${version}${found.length > 1 ? ` (${found.length} times)` : ''}`,
    };
  });
  const day = new Date().toISOString().slice(0, 10);
  const { changelog, notes } = closeUnreleased(readText(CHANGELOG), version, day);
  return { files: [...files, { path: CHANGELOG, text: changelog, what: `## ${version} - ${day}` }], notes };
}

function requireCleanTree(what: string): void {
  const status = git('status', '--porcelain');
  if (status !== '') throw new Error(`A release is made of what is committed, and ${what}:\n${status}`);
}

function printPlan(
  version: string,
  { files, notes }: PlannedChanges,
  engine: ContainerEngine | null,
  output: string,
): void {
  const checks = values['skip-tests'] ? 'skipped' : 'npm test, npm run audit';
  const image = engine === null ? 'none' : imageNames(version).join(', ');
  console.log(`tokenferry ${version}, from ${git('rev-parse', '--short', 'HEAD')}`);
  console.log(`  checks   ${checks}`);
  for (const { path, what } of files) console.log(`  change   ${path}: ${what}`);
  console.log(`  commit   chore(release): ${version}, tag v${version}`);
  console.log(
    `  files    ${packageFile(version)}, ${sbomFile(version)}, notes.txt (${notes.length} characters)`,
  );
  console.log(`           and SHA256SUMS in ${relative(process.cwd(), output) || '.'}`);
  console.log(`  image    ${image}`);
}

function packageFile(version: string): string {
  return `tokenferry-${version}.tgz`;
}

function sbomFile(version: string): string {
  return `tokenferry-${version}.cdx.json`;
}

function imageNames(version: string): string[] {
  return imageTags(version).map((tag) => `${values.image}:${tag}`);
}

/** The package, which builds dist (`prepack`). */
function makePackage(output: string): void {
  // .npmrc turns scripts off, that of this package too. Its own words would be within the JSON.
  const made = npm([
    'pack',
    '--json',
    '--ignore-scripts=false',
    '--foreground-scripts=false',
    '--pack-destination',
    output,
  ]);
  const [packed] = JSON.parse(made.slice(made.search(/^\[/m))) as [
    {
      readonly filename: string;
      readonly size: number;
      readonly files: readonly { readonly path: string }[];
    },
  ];
  const paths = new Set(packed.files.map(({ path }) => path));
  const missing = NEEDED_IN_PACKAGE.filter((path) => !paths.has(path));
  if (missing.length > 0) throw new Error(`The package has no ${missing.join(', ')}.`);
  console.log(`made ${packed.filename}: ${paths.size} files, ${(packed.size / 1e6).toFixed(1)} MB`);
}

/**
 * The packages that tokenferry needs to run, by npm's own command. From a lock file without development packages: `--omit dev`
 * of `npm sbom` leaves out each package that a development package needs too.
 */
function makeSbom(version: string, output: string): void {
  const parent = mkdtempSync(join(tmpdir(), 'tokenferry-release-'));
  try {
    // npm names the application after its folder.
    const folder = join(parent, 'tokenferry');
    mkdirSync(folder);
    const { devDependencies: _left, ...manifest } = JSON.parse(readText('package.json')) as Record<
      string,
      unknown
    >;
    writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
    for (const name of ['package-lock.json', '.npmrc']) copyFileSync(join(root, name), join(folder, name));
    npm(['install', '--package-lock-only', '--offline', '--no-audit', '--no-fund'], 'pipe', folder);
    const options = ['--package-lock-only', '--sbom-format', 'cyclonedx', '--sbom-type', 'application'];
    const sbom = npm(['sbom', ...options], 'pipe', folder);
    const { components } = JSON.parse(sbom) as { readonly components: readonly unknown[] };
    writeFileSync(join(output, sbomFile(version)), `${sbom}\n`);
    console.log(`made ${sbomFile(version)}: ${components.length} packages`);
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

async function makeImage(engine: ContainerEngine, version: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenferry-release-'));
  try {
    const { npmrc, certificates } = writeNpmSettings(folder);
    const [name = '', ...others] = imageNames(version);
    const base = values.base ?? process.env.BASE_IMAGE;
    const args = [
      ...others.flatMap((other) => ['--tag', other]),
      ...['--build-arg', `REVISION=${git('rev-parse', 'HEAD')}`],
      ...['--build-arg', `CREATED=${git('log', '-1', '--format=%cI')}`],
      ...(base === undefined ? [] : ['--build-arg', `BASE=${base}`]),
      ...['--secret', `id=npmrc,src=${npmrc}`],
      ...(certificates === null ? [] : ['--secret', `id=npmca,src=${certificates}`]),
    ];
    await engine.build(name, root, args, IMAGE_BUILD_LIMIT_MS);
    console.log(`made ${[name, ...others].join(', ')}`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In the format of sha256sum: `sha256sum --check SHA256SUMS`. */
function writeChecksums(output: string): void {
  const lines = readdirSync(output)
    .filter((name) => name !== 'SHA256SUMS')
    .sort()
    .map(
      (name) =>
        `${createHash('sha256')
          .update(readFileSync(join(output, name)))
          .digest('hex')}  ${name}`,
    );
  writeFileSync(join(output, 'SHA256SUMS'), `${lines.join('\n')}\n`);
}

function printNextSteps(version: string, output: string, engine: ContainerEngine | null): void {
  const tag = isPrerelease(version) ? ' --tag next' : '';
  const steps = [
    `git push origin HEAD v${version}`,
    `npm publish ${join(relative(process.cwd(), output), packageFile(version))} --access public${tag}    # in CI with --provenance: docs/releasing.md`,
    ...(engine === null ? [] : imageNames(version).map((name) => `${engine.name} push ${name}`)),
  ];
  console.log(`\ntokenferry ${version} is committed, tagged and built. To publish it:`);
  for (const step of steps) console.log(`  ${step}`);
}

function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

function git(...args: string[]): string {
  return run('git', args, ['ignore', 'pipe', 'inherit']);
}

function npm(args: readonly string[], stdout: 'pipe' | 'inherit' = 'pipe', folder = root): string {
  return run('npm', args, ['ignore', stdout, 'inherit'], folder);
}

function run(program: string, args: readonly string[], stdio: StdioOptions, cwd = root): string {
  try {
    const printed = execFileSync(program, args, {
      cwd,
      encoding: 'utf8',
      stdio,
      maxBuffer: MAX_OUTPUT_BYTES,
    });
    return (printed ?? '').trim();
  } catch (error) {
    throw new Error(`${program} ${args.slice(0, 2).join(' ')} failed: ${(error as Error).message}`);
  }
}
