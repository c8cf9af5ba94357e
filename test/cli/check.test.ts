import assert from 'node:assert/strict';
import { before, type TestContext, test } from 'node:test';
import { refusingUrl } from '../helpers/raw-upstream.ts';
import { type EndedCommand, runCommand } from '../helpers/run-command.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

async function startIssuer(t: TestContext): Promise<ScriptedIssuer> {
  const issuer = await ScriptedIssuer.start();
  t.after(() => issuer.close());
  return issuer;
}

async function startModel(t: TestContext): Promise<StandInModel> {
  const model = await StandInModel.start();
  t.after(() => model.close());
  return model;
}

const corp = (url: string) => ({
  type: 'oauth2',
  token_url: url,
  client_id: 'app',
  client_secret: 'secret-5d1e',
});

function lineOf({ lines, stdout }: EndedCommand, pattern: RegExp): number {
  const line = lines.find(({ text }) => pattern.test(text));
  assert.ok(line !== undefined, `${pattern} in:\n${stdout}`);
  return line.atMs;
}

test('configuration, tokens and upstreams that are in order: a line each, exit code 0', async (t) => {
  const [issuer, model] = [await startIssuer(t), await startModel(t)];
  const ended = await runCommand(
    'check',
    {
      address: '127.0.0.1:0',
      tokens: { corp: corp(issuer.tokenUrl) },
      upstreams: [{ name: 'chat', endpoint: model.url, token: 'corp' }],
    },
    { args: ['--wait', '120s'] },
  );
  assert.equal(ended.code, 0, ended.stdout + ended.stderr);
  lineOf(ended, /^ok {4}configuration .*config\.yaml$/);
  lineOf(ended, /^ok {4}token corp: obtained, (299|300) s left$/);
  lineOf(ended, /^ok {4}upstream chat: responds$/);
  lineOf(ended, /^ok {4}address 127\.0\.0\.1:0: the system chooses a free port$/);
  lineOf(ended, /^ok {4}request log: the sqlite database can be written$/);
  lineOf(ended, /^ok {4}clock: within 30 s of (?:token corp|upstream chat), (?:token corp|upstream chat)$/);
  assert.equal(ended.lines.length, 6);
  assert.ok(ended.elapsedMs < 100_000, `nothing is waited for: ${ended.elapsedMs} ms`);
});

test('a request log that cannot be written fails the check', async (t) => {
  const model = await startModel(t);
  const ended = await runCommand('check', {
    dbaddr: 'config.yaml/db.sqlite',
    upstreams: [{ name: 'chat', endpoint: model.url, sk: 'key-of-chat' }],
  });
  assert.equal(ended.code, 1, ended.stdout + ended.stderr);
  lineOf(ended, /^FAIL {2}request log: The database config\.yaml\/db\.sqlite /);
});

test('repairs that the list of models needed are named', async (t) => {
  const [issuer, model] = [await startIssuer(t), await startModel(t)];
  model.set({
    intercept: (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end('{"models":[{"name":"llama3"}]}');
      return true;
    },
  });
  const ended = await runCommand(
    'check',
    {
      tokens: { corp: corp(issuer.tokenUrl) },
      upstreams: [{ name: 'chat', endpoint: model.url, token: 'corp' }],
    },
    { args: ['--wait', '120s'] },
  );
  assert.equal(ended.code, 0, ended.stdout + ended.stderr);
  lineOf(
    ended,
    /^ok {4}upstream chat: responds \(repaired in its list of models: models_list_form, model_id_name\)$/,
  );
});

test('the effect of a check on a running gateway is reported; an upstream without a list of models is reachable', async (t) => {
  const [issuer, model] = [await startIssuer(t), await startModel(t)];
  model.set({
    intercept: (_request, response) => {
      response.writeHead(404);
      response.end('{}');
      return true;
    },
  });
  const ended = await runCommand('check', {
    tokens: { corp: { ...corp(issuer.tokenUrl), rotation: 'exclusive' } },
    upstreams: [{ name: 'chat', endpoint: model.url, token: 'corp' }],
  });
  assert.equal(ended.code, 0, ended.stdout + ended.stderr);
  lineOf(ended, /^warn {2}token corp: rotation is exclusive .* revokes the token of a running tokenferry$/);
  lineOf(
    ended,
    /^warn {2}upstream chat: GET \/models returns 404: it lists no models, or the endpoint's path is wrong; `check --chat --model NAME` tests it with a chat of a few tokens$/,
  );
});

test('a file without --config is not ignored, exit code 2', async () => {
  const { code, stderr } = await runCommand('check', { upstreams: [] }, { args: ['prod.yaml'] });
  assert.equal(code, 2);
  assert.match(
    stderr,
    /^unexpected argument "prod.yaml"; use --config FILE to name a configuration\.\nusage: /,
  );
});

test('an invalid proxy variable is one line, exit code 2', async () => {
  const { code, stderr } = await runCommand(
    'check',
    { upstreams: [{ name: 'chat', endpoint: 'http://llm.example', sk: 'k', proxy: 'environment' }] },
    { env: { HTTP_PROXY: 'socks5://proxy:1080', http_proxy: '', NO_PROXY: '', no_proxy: '' } },
  );
  assert.equal(code, 2);
  assert.match(stderr, /^the environment variable HTTP_PROXY is no URL of a proxy such as \S+\n$/);
});

let away: EndedCommand;
before(async () => {
  const [hanging, model] = [await ScriptedIssuer.start({ hang: true }), await StandInModel.start()];
  away = await runCommand(
    'check',
    {
      tokens: { gone: corp(`${await refusingUrl()}/token`), silent: corp(hanging.tokenUrl) },
      upstreams: [
        { name: 'good', endpoint: model.url, sk: 'k' },
        { name: 'down', endpoint: await refusingUrl(), sk: 'k' },
        { name: 'waiting', endpoint: model.url, token: 'gone' },
      ],
    },
    // Longer than the longest pause between two attempts: the refused source is asked again after the notice.
    { args: ['--wait', '8s'] },
  );
  await Promise.all([hanging.close(), model.close()]);
});

test('each line is printed with its result, while slower ones are still running; exit code 1', () => {
  assert.equal(away.code, 1, away.stdout);
  const lastMs = lineOf(away, /^FAIL {2}token silent: no token within 8 s$/);
  assert.ok(lineOf(away, /^ok {4}upstream good: responds$/) < lastMs - 1_000);
  assert.ok(lineOf(away, /^FAIL {2}upstream down: connection refused/) < lastMs - 1_000);
});

test('a slow check is named early, with its last error and the remaining time', () => {
  const lastMs = lineOf(away, /^FAIL {2}token silent: no token within 8 s$/);
  const waiting = { ...away, lines: away.errorLines, stdout: away.stderr };
  const isSoon = (pattern: RegExp) => assert.ok(lineOf(waiting, pattern) < lastMs - 500);
  isSoon(
    /^wait {2}token gone: token_url: connection refused \(ECONNREFUSED\) at 127\.0\.0\.1:\d+; retrying for up to 8 s$/,
  );
  isSoon(/^wait {2}token silent: no response yet; retrying for up to 8 s$/);
  lineOf(away, /^FAIL {2}token gone: token_url: connection refused \(ECONNREFUSED\) at 127\.0\.0\.1:\d+$/);
});

test('an upstream without a token is reported as not called', () => {
  lineOf(away, /^FAIL {2}upstream waiting: not called: there is no token for it$/);
  assert.ok(!away.stdout.includes('wait  upstream waiting'));
  assert.ok(!away.stdout.includes('readyz'));
});

test('how an upstream is signed is a line of its own, with the source of its credentials', async (t) => {
  const [issuer, model] = [await startIssuer(t), await startModel(t)];
  const scope = { type: 'aws_sigv4', region: 'us-east-1', service: 'bedrock' };
  const ended = await runCommand(
    'check',
    {
      address: '127.0.0.1:0',
      tokens: { sts: corp(issuer.tokenUrl) },
      upstreams: [
        { name: 'cloud', endpoint: model.url, token: 'sts', sign: { ...scope, key_id: 'AKID' } },
        { name: 'app', endpoint: model.url, token: 'none', sign: { headers: { 'X-Time': '{{now_s}}' } } },
      ],
    },
    { args: ['--wait', '120s'] },
  );
  assert.equal(ended.code, 0, ended.stdout + ended.stderr);
  lineOf(
    ended,
    /^ok {4}upstream cloud: each request is signed: aws_sigv4 \(us-east-1, bedrock\), credentials of token source sts$/,
  );
  lineOf(ended, /^ok {4}upstream app: each request is signed: templates of X-Time$/);
  const signed = model.received.find(({ headers }) => headers['x-amz-date'] !== undefined);
  assert.match(String(signed?.headers.authorization), /^AWS4-HMAC-SHA256 Credential=AKID\//);
});

test('a template of sign that cannot work is named, and nothing is called', async (t) => {
  const model = await startModel(t);
  const ended = await runCommand('check', {
    upstreams: [
      { name: 'app', endpoint: model.url, token: 'none', sign: { headers: { 'X-Sign': '{{md5(boddy)}}' } } },
    ],
  });
  assert.equal(ended.code, 2, ended.stdout + ended.stderr);
  assert.match(ended.stdout + ended.stderr, /upstream "app": sign: unknown name boddy/);
  assert.equal(model.received.length, 0);
});
