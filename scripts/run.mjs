// Starts a TypeScript file of this repository on the repository's own Node, from whatever Node is at hand:
//
//   node scripts/run.mjs FILE.ts [arguments]
//
// Installs the dependencies first when they are missing or another branch's, and runs the few install scripts that
// .npmrc keeps npm from running. This file itself must run on old Nodes (12.20 and newer), so: no dependencies,
// no `??`, no `?.`, no top-level await.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const isWindows = process.platform === 'win32';
const binFolder = join(root, 'node_modules', '.bin');
const ownNode = isWindows ? packageFile('node', 'bin', 'node.exe') : packageFile('node', 'bin', 'node');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** As in package.json: undici's minimum. Below 22.18 Node cannot run TypeScript at all. */
const OLDEST_NODE = manifest.engines.node.replace('>=', '').split('.').map(Number);

function packageFile(...path) {
  return join(root, 'node_modules', ...path);
}

/** 'missing', 'stale', or 'current': does node_modules hold what package-lock.json names? */
function installState() {
  if (!existsSync(join(root, 'node_modules', '.package-lock.json'))) return 'missing';
  // By content, not by age: a checkout sets new file times without changing a version.
  const wanted = readPackages(join(root, 'package-lock.json'));
  const installed = readPackages(join(root, 'node_modules', '.package-lock.json'));
  for (const path of Object.keys(wanted)) {
    if (path === '' || wanted[path].optional) continue; // optional ones are other platforms' binaries
    if (!installed[path] || installed[path].version !== wanted[path].version) return 'stale';
  }
  return 'current';
}

function readPackages(lockFile) {
  try {
    return JSON.parse(readFileSync(lockFile, 'utf8')).packages || {};
  } catch {
    return {};
  }
}

/** Runs npm quietly; resolves with its exit code and its whole output. */
function npm(args) {
  const viaNpm = process.env.npm_execpath;
  const isScript = viaNpm && /npm-cli\.[cm]?js$/.test(viaNpm);
  const command = isScript ? process.execPath : isWindows ? 'npm.cmd' : 'npm';
  return new Promise((done) => {
    const child = spawn(command, isScript ? [viaNpm].concat(args) : args, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: isWindows && !isScript,
    });
    let said = '';
    child.stdout.on('data', (text) => (said += text));
    child.stderr.on('data', (text) => (said += text));
    child.on('error', (error) => done({ code: 127, said: String(error.message) }));
    child.on('close', (code) => done({ code: code === null ? 1 : code, said }));
  });
}

/**
 * Packages whose install script is needed (`true` in allowScripts of package.json) and has not run. By what the scripts
 * make, since `npm install` and `npm ci` replace packages without telling.
 */
function packagesWithoutScript() {
  return Object.keys(manifest.allowScripts).filter(
    (name) => manifest.allowScripts[name] && existsSync(packageFile(name)) && !isMadeByScript(name),
  );
}

/** The script of "node" gets the binary; those of PostgreSQL make the symbolic links that npm packages cannot hold. */
function isMadeByScript(name) {
  if (name === 'node') return existsSync(ownNode);
  if (isWindows) return true;
  const list = packageFile(name, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return true;
  const links = JSON.parse(readFileSync(list, 'utf8'));
  return links.every((link) => isThere(packageFile(name, link.target)));
}

function isThere(path) {
  try {
    return Boolean(lstatSync(path));
  } catch {
    return false;
  }
}

// --include=dev: with NODE_ENV=production npm would leave out Node itself and the test tools.
const QUIET = ['--include=dev', '--no-audit', '--no-fund', '--loglevel=error'];

/** Resolves when node_modules is complete, else ends the process with npm's own words. */
async function install(state) {
  console.error(
    state === 'missing' ? 'installing dependencies, about 20 s …' : 'dependencies changed, updating them …',
  );
  // As in .npmrc, also if the environment differs: better-sqlite3 would need Python and a compiler.
  const quiet = ['--ignore-scripts'].concat(QUIET);
  // `npm ci` empties node_modules first, which would pull the files away under a running gateway.
  const gentle = ['install', '--no-save'];
  const first = await npm((state === 'missing' ? ['ci'] : gentle).concat(quiet));
  if (first.code === 0) return;
  const second = await npm(gentle.concat(quiet));
  if (second.code === 0) return;
  console.error(first.said + second.said);
  console.error('npm could not install the dependencies: see above. Try `npm ci` by hand.');
  process.exit(second.code);
}

/** Runs the install scripts of the packages; without network what is there already has to do. */
async function runInstallScripts(names) {
  console.error(`running the install scripts of ${names.join(', ')} …`);
  const result = await npm(['rebuild'].concat(names, '--ignore-scripts=false', QUIET));
  const failed = packagesWithoutScript();
  if (failed.length === 0) return;
  console.error(result.said);
  console.error(`npm could not run the install scripts of ${failed.join(', ')}: see above.`);
}

/** The version of a Node binary as [major, minor], or null when it cannot run. */
function versionOf(binary) {
  const result = spawnSync(binary, ['-p', 'process.versions.node'], { encoding: 'utf8' });
  if (result.status !== 0) return null;
  return result.stdout.trim().split('.').slice(0, 2).map(Number);
}

function isNewEnough(version) {
  return version[0] > OLDEST_NODE[0] || (version[0] === OLDEST_NODE[0] && version[1] >= OLDEST_NODE[1]);
}

/** The Node to run on: the repository's own, else the one that runs this file if it will do. */
function findNode() {
  const ownVersion = existsSync(ownNode) ? versionOf(ownNode) : null;
  if (ownVersion && isNewEnough(ownVersion)) return ownNode;
  if (isNewEnough(process.versions.node.split('.').map(Number))) return process.execPath;
  const found = ownVersion ? `is ${ownVersion.join('.')}` : 'is missing or does not run';
  console.error(
    `tokenferry needs Node ${OLDEST_NODE.join('.')} or newer. You are on ${process.versions.node}, and the ` +
      `repository's own (node_modules/.bin/node) ${found}.\n` +
      'Either install a newer Node, or let npm run the install script of the package "node":\n' +
      '  npm rebuild node --ignore-scripts=false',
  );
  return process.exit(1);
}

/** Runs the file and becomes it: arguments, stdio, signals and the way it ends are the child's. */
function run(node, args) {
  const env = Object.assign({}, process.env);
  env.PATH = binFolder + delimiter + (env.PATH || '');
  const child = spawn(node, args, { stdio: 'inherit', env });
  // A terminal sends Ctrl-C to the whole process group, so the child has had it already.
  const hasTerminal = Boolean(process.stdin.isTTY || process.stdout.isTTY);
  process.on('SIGINT', () => {
    if (!hasTerminal) child.kill('SIGINT');
  });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  if (process.env.npm_lifecycle_event) endWithNpm(child);
  child.on('error', (error) => {
    console.error(`cannot start ${node}: ${error.message}`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code));
}

/**
 * npm passes a SIGTERM to its shell, which does not pass it on: without this, `npm start` that was ended would
 * leave the gateway running under init.
 */
function endWithNpm(child) {
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) child.kill('SIGTERM');
  }, 500).unref();
}

const file = process.argv[2];
if (!file) {
  console.error('usage: node scripts/run.mjs FILE.ts [arguments]');
  process.exit(2);
}

async function main() {
  const state = installState();
  if (state !== 'current') await install(state);
  const names = packagesWithoutScript();
  if (names.length > 0) await runInstallScripts(names);
  run(findNode(), [resolve(root, file)].concat(process.argv.slice(3)));
}

main();
