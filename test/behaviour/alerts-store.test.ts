import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AlertStandIn } from '../helpers/alert-stand-in.ts';
import { Gateway, until } from '../helpers/gateway.ts';
import { TestPostgres } from '../helpers/postgres.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { tinyDisk } from '../helpers/temporary-directory.ts';
import { HANG_MS } from '../helpers/until.ts';
import { LIMITS } from './fault-rig.ts';

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };

let postgres: TestPostgres;
before(async () => {
  postgres = await TestPostgres.start();
});
after(() => postgres.close());

async function chat(gateway: Gateway): Promise<void> {
  const options = { headers: { authorization: 'Bearer client-key' } };
  const response = await gateway.post('/v1/chat/completions', CHAT, options);
  assert.equal(response.status, 200);
  await response.arrayBuffer();
}

/** Waits until so many records are in the database. */
async function untilWritten(gateway: Gateway, count: number): Promise<void> {
  let text = '';
  for (const deadlineMs = performance.now() + HANG_MS; performance.now() < deadlineMs; await sleep(20)) {
    text = await gateway.metrics();
    if (text.includes(`tokenferry_records_written_total ${count}\n`)) return;
  }
  assert.fail(/^tokenferry_records_.*$/gm.exec(text)?.join() ?? text);
}

function settings(model: StandInModel, robot: AlertStandIn, store: object) {
  return {
    ...LIMITS,
    authorization: 'client-key',
    hostname: 'node-1',
    ...store,
    upstreams: [{ name: 'chat', endpoint: model.url, sk: 'key-of-chat', allow: ['m'] }],
    notify: [{ type: 'webhook', url: robot.at('/hook'), events: ['store_unavailable'] }],
  };
}

test('a PostgreSQL that stops is one alert, and its return one recovery; requests are served and no record is lost', async () => {
  await using robot = await AlertStandIn.start();
  await using model = await StandInModel.start({ reply: 'all is well' });
  const database = await postgres.createDatabase();
  const store = { dbtype: 'postgres', dbaddr: database };
  await using gateway = await Gateway.start(settings(model, robot, store));
  await chat(gateway);
  await untilWritten(gateway, 1);
  await postgres.halt();
  try {
    for (let sent = 0; sent < 20; sent++) await chat(gateway);
    await until(() => robot.received.length === 1, 'the alert');
    const [alert] = robot.bodies;
    assert.equal(alert?.event, 'store_unavailable');
    assert.match(
      String(alert?.title),
      /^the request log is not available: The database 127\.0\.0\.1:\d+\/test_/,
    );
    assert.equal(alert?.serving, 'all requests; only their records wait in memory or are lost');
    assert.match(String(alert?.command), /^tokenferry check --config \//);
    for (let sent = 0; sent < 20; sent++) await chat(gateway);
  } finally {
    await postgres.resume();
  }
  await untilWritten(gateway, 41);
  await until(() => robot.received.length === 2, 'the recovery');
  assert.equal(robot.bodies[1]?.event, 'store_available');
  assert.equal(robot.bodies[1]?.title, 'the request log is written again: 0 records lost');
});

test('a full disk is one alert, and space on it one recovery', async (t) => {
  const disk = tinyDisk(t, 1_024);
  if (disk === null) {
    t.skip('needs a user that may mount');
    return;
  }
  await using robot = await AlertStandIn.start();
  await using model = await StandInModel.start({ reply: 'all is well' });
  const store = { dbtype: 'sqlite', dbaddr: join(disk, 'db.sqlite') };
  await using gateway = await Gateway.start(settings(model, robot, store));
  await chat(gateway);
  await untilWritten(gateway, 1);
  const ballast = join(disk, 'ballast');
  assert.throws(() => writeFileSync(ballast, Buffer.alloc(2 ** 21)), { code: 'ENOSPC' });
  while (robot.received.length === 0) {
    await chat(gateway);
    await sleep(20);
  }
  assert.match(String(robot.bodies[0]?.title), /^the request log is not available: .* the disk is full/);
  rmSync(ballast);
  await until(() => robot.received.length === 2, 'the recovery');
  assert.equal(robot.bodies[1]?.event, 'store_available');
});
