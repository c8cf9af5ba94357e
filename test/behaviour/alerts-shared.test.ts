import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AlertStandIn } from '../helpers/alert-stand-in.ts';
import { Gateway, until } from '../helpers/gateway.ts';
import { TestPostgres } from '../helpers/postgres.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { LIMITS } from './fault-rig.ts';

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hello' }] };

let postgres: TestPostgres;
before(async () => {
  postgres = await TestPostgres.start();
});
after(() => postgres.close());

async function chat(gateway: Gateway): Promise<number> {
  const options = { headers: { authorization: 'Bearer client-key' } };
  const response = await gateway.post('/v1/chat/completions', CHAT, options);
  await response.arrayBuffer();
  return response.status;
}

/** The first lines of all messages. */
function titlesTo(service: AlertStandIn): string[] {
  return service.bodies.map(({ text }) => String(text).split('\n')[0] ?? '');
}

function settings(model: StandInModel, robot: AlertStandIn, database: string, hostname: string) {
  return {
    ...LIMITS,
    authorization: 'client-key',
    hostname,
    dbtype: 'none',
    shared: database,
    shared_key: Buffer.alloc(32, 7).toString('base64'),
    retry: { same_upstream: 0 },
    cool_down: { failures: 3, first: '20ms', max: '50ms' },
    upstreams: [{ name: 'chat', endpoint: model.url, sk: 'key-of-chat', allow: ['m'] }],
    notify: [{ type: 'webhook', url: robot.at('/hook/secret-of-the-hook') }],
  };
}

test('1,000 failed requests at two replicas are one alert for each thing that fails, and one recovery', async () => {
  await using robot = await AlertStandIn.start();
  let isSick = true;
  await using model = await StandInModel.start({
    reply: 'all is well',
    intercept: (_request, response) => {
      if (isSick) response.writeHead(500).end('{}');
      return isSick;
    },
  });
  const database = await postgres.createDatabase();
  await using one = await Gateway.start(settings(model, robot, database, 'node-1'));
  await using two = await Gateway.start(settings(model, robot, database, 'node-2'));
  for (let batch = 0; batch < 50; batch++) {
    const gateways = Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : two));
    for (const status of await Promise.all(gateways.map(chat))) assert.ok(status >= 500);
  }
  await until(() => robot.received.length === 2, 'both alerts');
  isSick = false;
  // A replica without a request does not know; the other one waits for it for a minute at most.
  for (const gateway of [one, two]) assert.equal(await chat(gateway), 200);
  await until(() => robot.received.length === 4, 'both recoveries');
  for (const gateway of [one, two]) assert.equal(await chat(gateway), 200);
  // Whatever either still had to send is sent at its shutdown.
  await one.end();
  await two.end();
  assert.deepEqual(titlesTo(robot).sort(), [
    '[tokenferry] Resolved: m is served again by upstream chat',
    '[tokenferry] Resolved: upstream chat is back',
    '[tokenferry] no upstream could serve m: status 500',
    '[tokenferry] upstream chat is down: status 500',
  ]);
  const { rows } = await postgres.query('SELECT problem, state FROM tokenferry_alerts', database);
  assert.equal(rows.length, 2);
  assert.doesNotMatch(JSON.stringify(rows), /hook|chat|"m"/, 'nothing can be read from the table');
});

test('while the shared database is away each replica sends its own alerts, and requests are served', async () => {
  await using robot = await AlertStandIn.start();
  await using dead = await StandInModel.start({
    intercept: (_request, response) => {
      response.writeHead(500).end('{}');
      return true;
    },
  });
  const database = postgres.urlOf('no_such_database');
  await using one = await Gateway.start(settings(dead, robot, database, 'node-1'));
  await using two = await Gateway.start(settings(dead, robot, database, 'node-2'));
  for (const gateway of [one, two]) assert.ok((await chat(gateway)) >= 500);
  await until(() => robot.received.length === 2, 'an alert of each');
  assert.deepEqual(robot.bodies.map(({ hostname }) => hostname).sort(), ['node-1', 'node-2']);
  for (const { log } of [one, two])
    assert.match(
      log,
      /alerts: the shared database is not available: .*no_such_database.* does not exist\. Each replica sends its own messages\./,
    );
});
