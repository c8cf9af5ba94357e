import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { until } from '../helpers/gateway.ts';
import { runService, type ServiceProcess } from '../helpers/run-service.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

/** A machine without notifications polls every 2 s. */
const MAX_RELOAD_MS = 10_000;

/** One issuer, two models, and the gateway as a process on `config`. */
class Stage {
  readonly issuer: ScriptedIssuer;
  readonly first: StandInModel;
  readonly second: StandInModel;
  #service: ServiceProcess | null = null;

  private constructor(issuer: ScriptedIssuer, first: StandInModel, second: StandInModel) {
    this.issuer = issuer;
    this.first = first;
    this.second = second;
  }

  static async run(use: (stage: Stage) => Promise<void>): Promise<void> {
    const issuer = await ScriptedIssuer.start({ lifetimeMs: 300_000 });
    const isLive = (token: string): boolean => issuer.isLive(token);
    const first = await StandInModel.start({ isLive, reply: 'one two three four five', wordDelayMs: 0 });
    const second = await StandInModel.start({ isLive });
    const stage = new Stage(issuer, first, second);
    try {
      await use(stage);
    } finally {
      await stage.#service?.stop();
      await issuer.close();
      await first.close();
      await second.close();
    }
  }

  get service(): ServiceProcess {
    assert.ok(this.#service !== null);
    return this.#service;
  }

  /** What the tests change one thing of. */
  config(changes: object = {}, token: object = {}): object {
    return {
      dbtype: 'none',
      authorization: 'client-key-1',
      tokens: { corp: { ...this.issuer.source, ...token } },
      upstreams: [{ name: 'first', endpoint: this.first.url, token: 'corp' }],
      ...changes,
    };
  }

  async start(config: object, files: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#service = await runService(config, { env: files });
  }

  /** Puts the file in place as an editor does: a new one under the old name. */
  async write(config: object | string): Promise<void> {
    const file = join(this.service.folder, 'config.yaml');
    const text =
      typeof config === 'string'
        ? config
        : stringify({ address: `127.0.0.1:${this.service.port}`, ...config });
    await writeFile(`${file}.new`, text);
    await rename(`${file}.new`, file);
  }

  /** Resolves when so many reloads have ended this way. */
  async reloaded(result: 'ok' | 'failed', times = 1): Promise<void> {
    const deadlineMs = performance.now() + MAX_RELOAD_MS;
    for (;;) {
      const text = await (await fetch(`${this.service.url}/metrics`)).text();
      const count = new RegExp(`^tokenferry_config_reload_total\\{result="${result}"\\} (\\d+)$`, 'm').exec(
        text,
      );
      if (Number(count?.[1] ?? 0) >= times) return;
      assert.ok(performance.now() < deadlineMs, `no reload ${result}:\n${this.service.output}`);
      await sleep(20);
    }
  }

  chat(key = 'client-key-1', extra: object = {}): Promise<Response> {
    return fetch(`${this.service.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...extra }),
    });
  }

  async status(key?: string): Promise<number> {
    const response = await this.chat(key);
    await response.text();
    return response.status;
  }

  /** Lines of the log are written in batches. */
  async says(pattern: RegExp): Promise<void> {
    await until(() => pattern.test(this.service.output), `the log says ${pattern}`);
  }

  async degraded(): Promise<readonly string[]> {
    const response = await fetch(`${this.service.url}/readyz`);
    return ((await response.json()) as { degraded: string[] }).degraded;
  }
}

test('a wrong secret that is saved and loaded does not drop the valid token; the right one replaces it', () =>
  Stage.run(async (stage) => {
    await stage.start(stage.config());
    assert.equal(await stage.status(), 200);
    const [before] = stage.issuer.liveTokens;
    stage.issuer.defaults({ status: 401, body: { error: 'invalid_client' } });
    await stage.write(stage.config({}, { client_secret: 'a-wrong-secret' }));
    await stage.reloaded('ok');
    await until(
      () => stage.issuer.lastCall.headers.authorization !== undefined,
      'a call with the new secret',
    );
    for (let request = 0; request < 3; request++) assert.equal(await stage.status(), 200);
    assert.equal(stage.first.received.at(-1)?.token, before, 'the token of before');
    await stage.says(/corp: the credentials were replaced: the token of the previous ones is used/);
    await stage.says(/corp: issuer has failed once .*invalid_client.*token still valid for/);
    const degraded = (await stage.degraded()).join('\n');
    assert.match(
      degraded,
      /^token corp: issuer has failed once, token still valid for \d+ s: .*invalid_client.* The last token was obtained with the previous credentials\.$/m,
    );
    stage.issuer.defaults({ status: 200 });
    await stage.write(stage.config({}, { client_secret: 'the-right-secret' }));
    await stage.reloaded('ok', 2);
    await until(() => stage.issuer.liveTokens.length === 2, 'a token with the right secret');
    await until(() => /new token \(renewal\)/.test(stage.service.output), 'it is in use');
    assert.equal(await stage.status(), 200);
    assert.notEqual(stage.first.received.at(-1)?.token, before);
    assert.deepEqual(await stage.degraded(), []);
  }));

test('another issuer, client or scope gets none of the previous tokens', () =>
  Stage.run(async (stage) => {
    await stage.start(stage.config({}, { refresh: { max_wait: '200ms' } }));
    assert.equal(await stage.status(), 200);
    stage.issuer.defaults({ status: 503, body: 'away' });
    let reloads = 0;
    for (const change of [
      { token_url: `${stage.issuer.origin}/of-another-realm` },
      { client_id: 'another-client' },
      { scope: 'another.scope' },
    ]) {
      await stage.write(stage.config({}, { refresh: { max_wait: '200ms' }, ...change }));
      reloads += 1;
      await stage.reloaded('ok', reloads);
      assert.equal(await stage.status(), 503, JSON.stringify(change));
    }
  }));

test('a changed file is put to use by itself, with the token and connections of what did not change', () =>
  Stage.run(async (stage) => {
    await stage.start(stage.config());
    assert.equal(await stage.status(), 200);
    const { connections } = stage.first;
    await stage.write(stage.config({ authorization: 'client-key-2' }));
    await stage.reloaded('ok');
    assert.equal(await stage.status('client-key-1'), 401);
    assert.equal(await stage.status('client-key-2'), 200);
    assert.equal(stage.issuer.callCount, 1, 'the token is the same one');
    assert.equal(stage.first.connections, connections, 'the connection is the same one');
    assert.doesNotMatch(stage.service.output, /client-key|secret-of-the-app/);
  }));

test('SIGHUP loads the file again', () =>
  Stage.run(async (stage) => {
    await stage.start(stage.config());
    stage.service.signal('SIGHUP');
    await stage.reloaded('ok');
    assert.equal(await stage.status(), 200);
    assert.ok(stage.service.isRunning);
  }));

test('running streams finish on the old configuration, and what only they used is closed after them', () =>
  Stage.run(async (stage) => {
    stage.first.set({ wordDelayMs: 300 });
    await stage.start(stage.config());
    const stream = await stage.chat('client-key-1', { stream: true });
    const upstreams = [{ name: 'second', endpoint: stage.second.url, token: 'corp' }];
    await stage.write(stage.config({ upstreams }));
    await stage.reloaded('ok');
    assert.equal(stage.first.open, 1, 'the stream still runs');
    const next = await stage.chat();
    await next.text();
    assert.equal(next.headers.get('x-tokenferry-upstream'), 'second');
    assert.match(await stream.text(), /five[\s\S]*\[DONE\]/);
    assert.equal(stream.headers.get('x-tokenferry-upstream'), 'first');
    await until(
      () => stage.first.openConnections === 0,
      'the connections of the removed upstream are closed',
    );
  }));

test('an invalid file changes nothing, and is reported in the log, the metrics and readyz until it is valid again', () =>
  Stage.run(async (stage) => {
    await stage.start(stage.config());
    await stage.write('authorization: client-key-2\nupstreams:\n  - endpiont: nonsense-value\nrecord: {}\n');
    await stage.reloaded('failed');
    assert.equal(await stage.status('client-key-1'), 200);
    assert.equal(await stage.status('client-key-2'), 401);
    const [said = ''] = await stage.degraded();
    assert.match(
      said,
      /configuration: the changed file is not in use \(\d problems?, the first in line \d\)/,
    );
    await stage.says(/config\.yaml:3 upstreams\[0\]\.endpiont/);
    assert.doesNotMatch(stage.service.output, /client-key/);
    await stage.write(stage.config({ authorization: 'client-key-3' }));
    await stage.reloaded('ok');
    assert.deepEqual(await stage.degraded(), []);
    assert.equal(await stage.status('client-key-3'), 200);
  }));

test('other settings of renewal cause no new token; another secret does', () =>
  Stage.run(async (stage) => {
    await stage.start(stage.config());
    assert.equal(await stage.status(), 200);
    await stage.write(stage.config({}, { refresh: { max_wait: 5 } }));
    await stage.reloaded('ok');
    assert.equal(await stage.status(), 200);
    assert.equal(stage.issuer.callCount, 1, 'inherited');
    await stage.write(stage.config({}, { refresh: { max_wait: 5 }, client_secret: 'another-secret' }));
    await stage.reloaded('ok', 2);
    assert.equal(await stage.status(), 200);
    assert.equal(stage.issuer.callCount, 2);
    assert.equal(stage.issuer.calls.length, 2);
  }));

test('a file that the configuration names is watched as well', () =>
  Stage.run(async (stage) => {
    const name = 'key.txt';
    await stage.start(stage.config({ authorization: ['client-key-1'] }));
    await writeFile(join(stage.service.folder, name), 'client-key-4\n');
    await stage.write(stage.config({ authorization: `\${file:${name}}` }));
    await stage.reloaded('ok');
    assert.equal(await stage.status('client-key-4'), 200);
    await writeFile(join(stage.service.folder, name), 'client-key-5\n');
    await stage.reloaded('ok', 2);
    assert.equal(await stage.status('client-key-5'), 200);
    assert.equal(await stage.status('client-key-4'), 401);
  }));

test('what cannot change is named and kept, the rest is used', () =>
  Stage.run(async (stage) => {
    await stage.start(stage.config());
    await stage.write(
      stage.config({ address: '127.0.0.1:1', dbaddr: './other.sqlite', authorization: 'key-six' }),
    );
    await stage.reloaded('ok');
    assert.equal(await stage.status('key-six'), 200);
    await stage.says(
      /address changed: restart tokenferry to apply it .*in use: .*127\.0\.0\.1:\d+.*, configured: .*127\.0\.0\.1:/,
    );
    await stage.says(/dbaddr changed/);
  }));

test('a reload logs the keys that changed, without values, or that nothing changed', () =>
  Stage.run(async (stage) => {
    await stage.start(stage.config());
    const changed = stage.config({ authorization: 'key-of-the-log-test', timeout: 77 });
    await stage.write(changed);
    await stage.reloaded('ok');
    await stage.says(/configuration reloaded, changed: authorization, timeout"/);
    await stage.write(
      `# a comment\n${stringify({ address: `127.0.0.1:${stage.service.port}`, ...changed })}`,
    );
    await stage.reloaded('ok', 2);
    await stage.says(/configuration reloaded, nothing changed/);
    assert.ok(!stage.service.output.includes('key-of-the-log-test'));
  }));

test('limits of clients are replaced without forgetting what was used', () =>
  Stage.run(async (stage) => {
    const clients = (rpm: number): object => ({
      authorization: undefined,
      clients: [{ name: 'app', key: 'client-key-1', rpm }],
    });
    await stage.start(stage.config(clients(2)));
    assert.equal(await stage.status(), 200);
    assert.equal(await stage.status(), 200);
    await stage.write(stage.config(clients(3)));
    await stage.reloaded('ok');
    assert.equal(await stage.status(), 200);
    assert.equal(await stage.status(), 429);
  }));

test('an emptied file is a bad file', () =>
  Stage.run(async (stage) => {
    await stage.start(stage.config());
    await stage.write('');
    await stage.reloaded('failed');
    assert.equal(await stage.status(), 200);
    const refused = await stage.chat('none-of-ours');
    await refused.text();
    assert.equal(refused.status, 401);
  }));

test('no request fails while the configuration changes again and again under load', () =>
  Stage.run(async (stage) => {
    await stage.start(stage.config());
    const outcomes = new Map<number, number>();
    let isOver = false;
    const clients = Array.from({ length: 8 }, async (_, index) => {
      while (!isOver) {
        const response = await stage.chat('client-key-1', { stream: index % 2 === 0 });
        await response.text();
        outcomes.set(response.status, (outcomes.get(response.status) ?? 0) + 1);
      }
    });
    for (let round = 1; round <= 5; round++) {
      // Other upstream settings, another token recipe: everything is built anew each time.
      const upstreams = [
        { name: `first-${round}`, endpoint: stage.first.url, token: 'corp', timeout: 60 + round },
      ];
      await stage.write(stage.config({ upstreams }, { scope: `scope-${round}` }));
      await stage.reloaded('ok', round);
    }
    isOver = true;
    await Promise.all(clients);
    assert.deepEqual([...outcomes.keys()], [200], JSON.stringify([...outcomes]));
    assert.equal(stage.issuer.callCount, 6);
    await until(() => stage.first.openConnections <= 8, 'connections of replaced upstreams are closed');
  }));
