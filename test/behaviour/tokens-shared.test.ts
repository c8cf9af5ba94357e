import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../helpers/gateway.ts';
import { TestPostgres } from '../helpers/postgres.ts';
import { runService, type ServiceProcess } from '../helpers/run-service.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { bodyOf, KINDS, type Kind, pathOf } from './fault-rig.ts';

const SHARED_KEY = Buffer.alloc(32, 9).toString('base64');

let postgres: TestPostgres;
before(async () => {
  postgres = await TestPostgres.start();
});
after(() => postgres.close());

/** Two replicas as processes of their own, before one upstream that knows which tokens are alive. */
async function replicas(
  issuer: ScriptedIssuer,
  model: StandInModel,
  sharing: object,
  env: Readonly<Record<string, string>> = {},
): Promise<readonly ServiceProcess[]> {
  const config = {
    dbtype: 'none',
    log: { level: 'debug' },
    ...('share' in sharing && sharing.share === 'shared'
      ? { shared: await postgres.createDatabase(), shared_key: SHARED_KEY }
      : {}),
    tokens: { corp: { ...issuer.source, refresh: { max_wait: '5s' }, ...sharing } },
    upstreams: [{ name: 'lone', endpoint: model.url, token: 'corp' }],
  };
  return Promise.all([runService(config, { env }), runService(config, { env })]);
}

interface Tally {
  served: number;
  readonly failures: string[];
}

/** Asks both replicas without a pause, one client for each kind and replica, until `isOver`. */
async function traffic(services: readonly ServiceProcess[], isOver: () => boolean): Promise<Tally> {
  const tally: Tally = { served: 0, failures: [] };
  const client = async (service: ServiceProcess, kind: Kind): Promise<void> => {
    while (!isOver()) {
      const response = await fetch(`${service.url}${pathOf(kind)}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(bodyOf(kind, 'm')),
      });
      const text = await response.text();
      if (response.status === 200 && !text.includes('"error"')) tally.served += 1;
      else tally.failures.push(`${kind} ${response.status} ${text.slice(0, 200)}`);
      await sleep(5);
    }
  };
  await Promise.all(services.flatMap((service) => KINDS.map((kind) => client(service, kind))));
  return tally;
}

test('#16 #17 two replicas, one PostgreSQL, an issuer that revokes the previous token: 20 rotations, one call each, no failure', async (t) => {
  await using issuer = await ScriptedIssuer.start({ lifetimeMs: 1_000, exclusive: true, delayMs: 20 });
  await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token) });
  const services = await replicas(issuer, model, { rotation: 'exclusive', share: 'shared' });
  try {
    const tally = await traffic(services, () => issuer.issuedCount > 20);
    const refusals = services.flatMap(({ output }) =>
      output.split('\n').filter((line) => line.includes('rejected the token')),
    );
    assert.deepEqual(tally.failures, [], refusals.slice(-20).join('\n'));
    assert.ok(tally.served > 100, `${tally.served} requests`);
    assert.equal(issuer.callCount, issuer.issuedCount);
    assert.equal(issuer.maxConcurrent, 1, 'never two at a time');
    const tokens = new Set(model.received.map(({ token }) => token));
    assert.ok(tokens.size >= 20, `each token was used, but the last one maybe: ${tokens.size}`);
    // The first token and one call for each rotation: what was refused on its way renewed nothing.
    assert.equal(issuer.callCount, 1 + 20);
    t.diagnostic(
      `${tally.served} requests, ${tally.failures.length} failed, ${model.refused} replayed, ${issuer.callCount} issuer calls for 20 rotations`,
    );
  } finally {
    await Promise.all(services.map((service) => service.stop()));
  }
});

test('#17 two replicas without sharing revoke each other’s tokens, and it is reported', async () => {
  await using issuer = await ScriptedIssuer.start({ lifetimeMs: 60_000, exclusive: true });
  await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token) });
  const services = await replicas(issuer, model, { rotation: 'exclusive' });
  try {
    let isOver = false;
    const asking = traffic(services, () => isOver);
    try {
      await until(
        // Either two working tokens were rejected, or the other replica was faster than the first use of two new ones.
        () =>
          services.some(({ output }) =>
            /another client uses? (?:the same credentials|them too)/.test(output),
          ),
        'the warning',
        15_000,
      );
    } finally {
      isOver = true;
      await asking;
    }
  } finally {
    await Promise.all(services.map((service) => service.stop()));
  }
});

test('two processes of one machine share one token through files that only their user can read', async () => {
  await using issuer = await ScriptedIssuer.start({ exclusive: true });
  await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token) });
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-shared-'));
  const sharing = { rotation: 'exclusive', share: 'file' };
  const services = await replicas(issuer, model, sharing, { TMPDIR: folder });
  try {
    let rounds = 0;
    const tally = await traffic(services, () => ++rounds > 60);
    assert.deepEqual(tally.failures, []);
    assert.equal(issuer.callCount, 1);
    assert.equal(model.refused, 0);
    const [directory = ''] = (await readdir(folder)).filter((name) => name.startsWith('tokenferry-tokens'));
    assert.equal((await stat(join(folder, directory))).mode & 0o777, 0o700);
    for (const file of await readdir(join(folder, directory)))
      assert.equal((await stat(join(folder, directory, file))).mode & 0o777, 0o600);
  } finally {
    await Promise.all(services.map((service) => service.stop()));
    await rm(folder, { recursive: true });
  }
});

test('an unavailable database fails no request: an exclusive token stays in use, and sharing resumes when it is back', async () => {
  await using issuer = await ScriptedIssuer.start({ lifetimeMs: 8_000, exclusive: true });
  await using model = await StandInModel.start({ isLive: (token) => issuer.isLive(token) });
  const services = await replicas(issuer, model, { rotation: 'exclusive', share: 'shared' });
  try {
    let isOver = false;
    const asking = traffic(services, () => isOver);
    await sleep(1_000);
    await postgres.halt();
    // Renewal is due at 6 s: it fails, and the token serves until it ends at 8 s.
    await until(
      () => services.some(({ output }) => output.includes('the store of shared tokens is unavailable')),
      'the message',
      9_000,
    );
    await postgres.resume();
    await until(() => issuer.issuedCount > 1, 'the next rotation', 6_000);
    await sleep(500);
    isOver = true;
    const tally = await asking;
    assert.deepEqual(tally.failures, []);
    assert.equal(issuer.callCount, 2);
  } finally {
    await Promise.all(services.map((service) => service.stop()));
  }
});
