/**
 * `npm run test:image`: the container image is built and runs read-only without network, and a fresh clone and the npm
 * package start in the bare base image, which has Node and npm and neither Python nor a compiler.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type ContainerEngine, findEngine } from './container-engine.ts';
import { CERTIFICATES_PATH, type NpmSettings, writeNpmSettings } from './npm-settings.ts';
import { numberOption, toolOptions } from './tool-options.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

/** As in the Dockerfile. */
const USUAL_BASE = 'node:24-slim';

const USAGE = `npm run test:image -- [options]

  --base IMAGE     the base image, with Node 24 and npm ($BASE_IMAGE, else ${USUAL_BASE})
  --within SECONDS from the clone to the first words of a streamed answer (60); more on a machine with other work`;

/** What the image may add to its base; 57 MB when this was written. */
const SIZE_LIMIT_BYTES = 80e6;

const BUILD_LIMIT_MS = 600_000;
const TEST_LIMIT_MS = 300_000;
const START_LIMIT_MS = 30_000;
const POLL_MS = 250;

/** One suite on SQLite and one on a PostgreSQL, whose binaries need their install script. */
const TESTS_IN_BARE_BASE = ['request-log/sqlite/sqlite-reader', 'request-log/postgres/postgres-store'];

/** The key that applications send is one that only the suite uses. */
const CONFIG = `address: ":8888"
authorization: test-image
tokens:
  fixed: { type: static, value: nothing-secret }
upstreams:
  - endpoint: http://127.0.0.1:9/v1
    token: fixed
`;

/** Runs inside a container: prints the words of a streamed response as they arrive, and fails without an end. */
const STREAM_CLIENT = `
const [url, key] = process.argv.slice(1);
const reply = await fetch(url + '/chat/completions', {
  method: 'POST',
  headers: { authorization: 'Bearer ' + key, 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'demo-chat', stream: true, messages: [{ role: 'user', content: 'Hello' }] }),
});
let text = '';
for await (const bytes of reply.body) {
  text += Buffer.from(bytes).toString();
  const words = [...text.matchAll(/"content":"([^"]+)"/g)].map((found) => found[1]);
  if (words.length > 0) console.log('words: ' + words.join('').slice(0, 60));
}
if (!text.includes('data: [DONE]')) { console.error(reply.status, text); process.exitCode = 1; }
`;

/** Runs inside a container, where the package is installed: the demo serves a chat and the page. */
const INSTALLED_PACKAGE = `
import { spawn } from 'node:child_process';
const demo = spawn('npx', ['tokenferry', 'demo', '--port', '18999'], { stdio: ['ignore', 'pipe', 'inherit'], detached: true });
let text = '';
await new Promise((done) => demo.stdout.on('data', (bytes) => {
  text += bytes;
  if (/API key +\\S+/.test(text)) done();
}));
const key = /API key +(\\S+)/.exec(text)[1];
const url = 'http://127.0.0.1:18999';
const reply = await fetch(url + '/v1/chat/completions', {
  method: 'POST',
  headers: { authorization: 'Bearer ' + key, 'content-type': 'application/json' },
  body: JSON.stringify({ model: 'demo-chat', messages: [{ role: 'user', content: 'Hello' }] }),
});
const page = await (await fetch(url + '/ui/')).text();
const script = await fetch(url + '/ui/' + /assets\\/[^"]+\\.js/.exec(page)[0]);
console.log('chat', reply.status, 'page', script.status);
process.kill(-demo.pid);
`;

/** Runs inside a container: prints status and body of one request. */
const REQUEST = `
const [url, method, key, body] = process.argv.slice(1);
const headers = { authorization: 'Bearer ' + key, 'content-type': 'application/json' };
const reply = await fetch(url, { method, headers, body });
console.log(reply.status, await reply.text());
`;

const { values } = toolOptions(USAGE, {
  options: { base: { type: 'string' }, within: { type: 'string', default: '60' } },
});
const firstAnswerLimitMs = 1000 * numberOption('within', values.within);
const base = values.base ?? process.env.BASE_IMAGE ?? USUAL_BASE;

const engine = findEngine();
if (engine === null) {
  console.error(
    'Neither podman nor docker is available. Install one (`apt-get install -y podman`, `brew install podman`) or start its daemon.',
  );
  process.exit(1);
}
const folder = mkdtempSync(join(tmpdir(), 'tokenferry-image-'));
const cleanUp = (): void => {
  engine.cleanUp();
  rmSync(folder, { recursive: true, force: true });
};
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  process.on(signal, () => {
    cleanUp();
    process.exit(code);
  });
}
try {
  await testImage(engine);
  console.log('the image and the bare base are as they should be');
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
} finally {
  cleanUp();
}

async function testImage(engine: ContainerEngine): Promise<void> {
  if (!(await engine.hasImage(base)))
    throw new Error(`There is no image ${base}, and ${engine.name} cannot pull it. Name one: --base IMAGE.`);
  const npm = writeNpmSettings(folder);
  const changed = execFileSync('git', ['status', '--porcelain'], { cwd: root, encoding: 'utf8' });
  if (changed !== '') console.log('what is not committed is not in the clone and not tested');
  console.log(`${engine.name}, base ${base}; ${await missingTools(engine)}`);
  await testBareBase(engine, npm);
  await testBuiltImage(engine, npm);
}

/** Prints a line for each step that passes, with its seconds. */
async function step<T>(what: string, work: () => Promise<T>, describe?: (result: T) => string): Promise<T> {
  const startedMs = performance.now();
  const result = await work();
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1).padStart(6);
  console.log(`${seconds} s  ${what}${describe === undefined ? '' : `: ${describe(result)}`}`);
  return result;
}

async function missingTools(engine: ContainerEngine): Promise<string> {
  const look = 'for tool in python3 make gcc git; do command -v $tool; done; true';
  const found = await engine.must(['run', '--rm', '--network', 'none', base, 'sh', '-c', look]);
  return found === '' ? 'it has no Python, make, gcc or git' : `it has ${found.replaceAll('\n', ', ')}`;
}

/** What users type on a clean machine: start, test, and `npm ci` by hand. As a normal user, as PostgreSQL insists. */
async function testBareBase(engine: ContainerEngine, npm: NpmSettings): Promise<void> {
  const startedMs = performance.now();
  const clone = await step('git clone', async () => cloneTo(join(folder, 'clone')));
  const mounts = [`${clone}:/source:ro,z`, `${npm.npmrc}:/tmp/.npmrc:ro,z`];
  if (npm.certificates !== null) mounts.push(`${npm.certificates}:${CERTIFICATES_PATH}:ro,z`);
  const options = [...engine.hostNetwork(), '--user', '1000:1000', '-e', 'HOME=/tmp'];
  for (const mount of mounts) options.push('-v', mount);
  const start = 'cp -r /source /tmp/clone && cd /tmp/clone && exec npm start';
  const id = await engine.start(base, options, ['sh', '-c', start]);
  await step(
    'npm start in the bare base: a streamed response',
    async () => {
      const { atMs, words } = await streamedAnswer(engine, id, firstAnswerLimitMs);
      if (atMs - startedMs > firstAnswerLimitMs)
        throw new Error(`First words ${(atMs - startedMs) / 1000} s after the clone began.`);
      return `"${words}" ${((atMs - startedMs) / 1000).toFixed(1)} s after the clone began`;
    },
    (text) => text,
  );
  const test = ['exec', '-w', '/tmp/clone', id, 'npm', 'test', '--', ...TESTS_IN_BARE_BASE];
  await step('npm test, SQLite and PostgreSQL', () => engine.must(test, { limitMs: TEST_LIMIT_MS }));
  const byHand =
    "cp -r /source /tmp/by-hand && cd /tmp/by-hand && npm ci && node -e \"require('better-sqlite3')(':memory:')\"";
  await step('npm ci by hand, then SQLite loads', () =>
    engine.must(['exec', id, 'sh', '-c', byHand], { limitMs: TEST_LIMIT_MS }),
  );
  await testPackage(engine, id);
}

/** What `npm publish` would publish, installed in an empty folder by npm as it comes. */
async function testPackage(engine: ContainerEngine, id: string): Promise<void> {
  const shell = (script: string): Promise<string> =>
    engine.must(['exec', id, 'sh', '-c', script], { limitMs: TEST_LIMIT_MS });
  await step('npm pack, then npm install of the package in an empty folder: npx tokenferry', async () => {
    await shell(
      'mkdir /tmp/package && cd /tmp/clone && npm pack --ignore-scripts=false --pack-destination /tmp/package',
    );
    await shell('mkdir /tmp/empty && cd /tmp/empty && npm install /tmp/package/*.tgz');
    return expectText(
      engine,
      ['exec', '-w', '/tmp/empty', id, 'npx', 'tokenferry', '--version'],
      /^tokenferry \d/,
    );
  });
  await step('its demo serves a chat and the page', () =>
    expectText(
      engine,
      ['exec', '-w', '/tmp/empty', id, 'node', '--input-type=module', '-e', INSTALLED_PACKAGE],
      /^chat 200 page 200$/,
    ),
  );
}

function cloneTo(target: string): string {
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', root, target]);
  chmodSync(target, 0o755);
  return target;
}

interface StreamedAnswer {
  /** When the first words came, on the clock of `performance.now()`. */
  readonly atMs: number;
  readonly words: string;
}

/** Waits for the demo's instructions in the log, sends their request, and reads the stream to its end. */
async function streamedAnswer(engine: ContainerEngine, id: string, limitMs: number): Promise<StreamedAnswer> {
  const log = await untilLog(engine, id, /base URL +\S+[\s\S]*API key +\S+/, limitMs);
  const url = /base URL +(\S+)/.exec(log)?.[1] ?? '';
  const key = /API key +(\S+)/.exec(log)?.[1] ?? '';
  let atMs = 0;
  const said = await engine.must(['exec', id, 'node', '--input-type=module', '-e', STREAM_CLIENT, url, key], {
    onText: (text) => {
      if (atMs === 0 && text.includes('words: ')) atMs = performance.now();
    },
  });
  if (atMs === 0) throw new Error('The stream had no words.');
  return { atMs, words: /words: (.*)$/.exec(said)?.[1] ?? '' };
}

async function untilLog(
  engine: ContainerEngine,
  id: string,
  wanted: RegExp,
  limitMs: number,
): Promise<string> {
  const endsMs = performance.now() + limitMs;
  for (;;) {
    const isRunning = await engine.isRunning(id);
    const { text } = await engine.run(['logs', id]);
    if (wanted.test(text)) return text;
    if (!isRunning) throw new Error(`The container has exited:\n${text}`);
    if (performance.now() > endsMs)
      throw new Error(`Not there within ${limitMs / 1000} s: ${wanted.source}\n${text}`);
    await sleep(POLL_MS);
  }
}

/** What operators do: build, run read-only without network with a mounted folder, stop. */
async function testBuiltImage(engine: ContainerEngine, npm: NpmSettings): Promise<void> {
  const tag = `localhost/tokenferry-test-image:${process.pid}`;
  const args = ['--build-arg', `BASE=${base}`, '--secret', `id=npmrc,src=${npm.npmrc}`];
  if (npm.certificates !== null) args.push('--secret', `id=npmca,src=${npm.certificates}`);
  await step('image built', () => engine.build(tag, join(folder, 'clone'), args, BUILD_LIMIT_MS));

  const added = (await sizeOf(engine, tag)) - (await sizeOf(engine, base));
  console.log(`          it adds ${(added / 1e6).toFixed(0)} MB to its base`);
  if (added > SIZE_LIMIT_BYTES) throw new Error(`That is more than ${SIZE_LIMIT_BYTES / 1e6} MB.`);
  await expectText(engine, ['image', 'inspect', '-f', '{{.Config.User}}', tag], /^1000:1000$/);
  const label = '{{index .Config.Labels "org.opencontainers.image.version"}}';
  await expectText(engine, ['image', 'inspect', '-f', label, tag], /^\d+\.\d+\.\d+/);

  const data = join(folder, 'data');
  mkdirSync(data);
  // A folder of another user, as a mounted one often is: writable for user 1000 without being owned by it.
  chmodSync(data, 0o777);
  writeFileSync(join(data, 'config.yaml'), CONFIG, { mode: 0o644 });
  const strict = [...engine.readOnly(), '--network', 'none', '--cap-drop', 'ALL'];
  const id = await engine.start(tag, [...strict, '-v', `${data}:/data:z`]);
  const ask = (path: string, method: string, ...body: string[]): string[] => {
    const url = `http://127.0.0.1:8888${path}`;
    return ['exec', id, 'node', '--input-type=module', '-e', REQUEST, url, method, 'test-image', ...body];
  };
  await step('read-only, without network: /livez', async () => {
    const endsMs = performance.now() + START_LIMIT_MS;
    while ((await engine.run(ask('/livez', 'GET'))).code !== 0) {
      if (performance.now() > endsMs || !(await engine.isRunning(id)))
        throw new Error(`It does not listen:\n${(await engine.run(['logs', id])).text}`);
      await sleep(POLL_MS);
    }
    return expectText(engine, ask('/livez', 'GET'), /^200 /);
  });
  await step('the health check of the image passes', async () => {
    const inspected = await engine.must(['image', 'inspect', '-f', '{{json .Config.Healthcheck.Test}}', tag]);
    const [, ...command] = JSON.parse(inspected) as string[];
    return engine.must(['exec', id, ...command]);
  });
  await step('a request is recorded in the mounted folder', async () => {
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'Hello' }] });
    await expectText(engine, ask('/v1/chat/completions', 'POST', body), /^502 /);
    if (!existsSync(join(data, 'db.sqlite'))) throw new Error('There is no db.sqlite.');
  });
  await step('SIGTERM ends it', async () => {
    const code = await engine.stop(id);
    if (code !== 0) throw new Error(`The container ended with ${code}.`);
  });
  const demo = await engine.start(tag, [...strict, '--tmpfs', '/tmp'], ['demo']);
  await step(
    'demo in the image: a streamed response',
    () => streamedAnswer(engine, demo, START_LIMIT_MS),
    ({ words }) => `"${words}"`,
  );
}

async function sizeOf(engine: ContainerEngine, image: string): Promise<number> {
  return Number(await engine.must(['image', 'inspect', '-f', '{{.Size}}', image]));
}

async function expectText(engine: ContainerEngine, args: readonly string[], wanted: RegExp): Promise<string> {
  const text = await engine.must(args);
  if (!wanted.test(text)) throw new Error(`Not ${wanted.source}: ${text}`);
  return text;
}
