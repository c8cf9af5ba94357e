import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../../src/lib/clock.ts';
import { Secret } from '../../../src/lib/secret.ts';
import { ALERT_EVENTS, type AlertEvent, type Problem } from '../../../src/observability/alerts/alert.ts';
import { AlertChannel } from '../../../src/observability/alerts/alert-channel.ts';
import { AlertSender } from '../../../src/observability/alerts/alert-sender.ts';
import { Alerts } from '../../../src/observability/alerts/alerts.ts';
import {
  decide,
  type SharedAlerts,
  type SharedDecision,
  type SharedProblem,
  UNKNOWN_PROBLEM,
  withdrawn,
} from '../../../src/observability/alerts/shared-alerts.ts';
import { AlertStandIn } from '../../helpers/alert-stand-in.ts';
import { until } from '../../helpers/until.ts';
import { VirtualClock } from '../../helpers/virtual-clock.ts';

const GROUP_MS = 1_000;

interface ChannelOptions {
  readonly type?: 'webhook' | 'slack' | 'pagerduty';
  readonly events?: readonly AlertEvent[];
  readonly everyMs?: number;
  /** Of a replica; alone unless given. */
  readonly replica?: { readonly name: string; readonly store: MemoryStore };
}

/** What replicas share, in memory and by the clock of the test. */
class MemoryStore {
  readonly clock = new VirtualClock();
  readonly #states = new Map<string, SharedProblem>();

  /** The view of one replica. */
  viewOf(replica: string): SharedAlerts {
    const change = (problem: string, next: (known: SharedProblem) => SharedProblem): void =>
      void this.#states.set(problem, next(this.#states.get(problem) ?? UNKNOWN_PROBLEM));
    return {
      report: async (problem, report) => {
        let made: SharedDecision = { kind: 'told' };
        change(problem, (known) => {
          const { next, decision } = decide(known, { ...report, replica }, this.clock.wallMs());
          made = decision;
          return next;
        });
        return made;
      },
      withdraw: async (problem) => change(problem, (known) => withdrawn(known, replica, this.clock.wallMs())),
      close: async () => {},
    };
  }
}

/** Alerts of a virtual clock with one channel to a real server. */
class Scene {
  readonly clock: VirtualClock;
  readonly outcomes: string[] = [];
  readonly alerts: Alerts;
  readonly channel: AlertChannel;
  readonly #service: AlertStandIn;

  constructor(
    service: AlertStandIn,
    { type = 'webhook', events = ALERT_EVENTS, everyMs = 300_000, replica }: ChannelOptions = {},
  ) {
    this.#service = service;
    this.clock = replica?.store.clock ?? new VirtualClock();
    this.alerts = new Alerts(replica?.name ?? 'node-1', this.clock);
    const nothing = { secret: null, room: null, token: null, key: null, from: null, to: [], headers: {} };
    const settings = {
      ...nothing,
      url: new Secret(service.at('/hook')),
      tls: null,
      proxy: null,
      render: null,
    };
    this.channel = new AlertChannel(
      { name: 'one', type, events: new Set(events), everyMs },
      {
        // Its time limit is real, as the service is.
        sender: new AlertSender(type, settings, systemClock),
        clock: this.clock,
        sharing: replica === undefined ? null : { alerts: replica.store.viewOf(replica.name), key: 'one' },
        onOutcome: (_channel, { event, subject }, outcome) =>
          void this.outcomes.push(`${event} ${subject} ${outcome}`),
      },
    );
    this.alerts.setChannels([this.channel]);
  }

  down(subject: string): void {
    this.alerts.raise({
      kind: 'upstream_down',
      subject,
      title: `upstream ${subject} is down`,
      command: 'check',
    });
  }

  up(subject: string): void {
    this.alerts.clear('upstream_down', subject, { title: `upstream ${subject} is back` });
  }

  /** Runs the clock and waits until `count` outcomes are known. */
  async run(ms: number, count: number): Promise<void> {
    await this.clock.advance(ms);
    await until(() => this.outcomes.length >= count, 'the outcomes');
  }

  get texts(): string[] {
    return this.#service.bodies.map(({ text }) => String(text).split('\n')[0] ?? '');
  }
}

test('1,000 failures of one upstream are one alert, and its end is one recovery', async () => {
  await using service = await AlertStandIn.start();
  const scene = new Scene(service);
  for (let failure = 0; failure < 1_000; failure++) {
    scene.down('chat');
    if (failure % 100 === 0) await scene.clock.advance(30_000);
  }
  await scene.run(GROUP_MS, 1);
  scene.up('chat');
  await scene.run(600_000, 2);
  assert.deepEqual(scene.texts, [
    '[tokenferry] upstream chat is down',
    '[tokenferry] Resolved: upstream chat is back',
  ]);
  assert.equal(service.bodies[1]?.reports, 1_000);
  await scene.channel.close();
  assert.equal(scene.clock.pending, 0, 'no timer is left');
});

test('an upstream that is down for a moment only causes both messages', async () => {
  await using service = await AlertStandIn.start();
  const scene = new Scene(service);
  scene.down('chat');
  scene.up('chat');
  await scene.run(GROUP_MS, 2);
  assert.equal(service.received.length, 2);
});

test('what happens within a second is one message where the service can show several', async () => {
  await using service = await AlertStandIn.start();
  const scene = new Scene(service, { type: 'slack' });
  scene.down('a');
  scene.down('b');
  await scene.clock.advance(500);
  scene.down('c');
  await scene.run(GROUP_MS, 3);
  assert.equal(service.received.length, 1);
  const text = String(service.bodies[0]?.text);
  for (const name of ['a', 'b', 'c']) assert.match(text, new RegExp(`upstream ${name} is down`));
});

test('an upstream that flaps causes one message of each kind in `every`, and then its state as it is', async () => {
  await using service = await AlertStandIn.start();
  const scene = new Scene(service);
  for (let flap = 0; flap < 20; flap++) {
    scene.down('chat');
    await scene.clock.advance(2_000);
    scene.up('chat');
    await scene.clock.advance(2_000);
  }
  await scene.run(0, 2);
  assert.equal(service.received.length, 2);
  scene.down('chat');
  await scene.clock.advance(60_000);
  assert.equal(service.received.length, 2, 'held');
  await scene.run(240_000, 3);
  assert.equal(service.received.length, 3);
  assert.match(String(service.bodies[2]?.text), /Changes without a message: 38/);
  scene.up('chat');
  await scene.run(300_000, 4);
  assert.equal(service.bodies[3]?.event, 'upstream_up');
});

test('a change that is undone while it is held causes no message', async () => {
  await using service = await AlertStandIn.start();
  const scene = new Scene(service);
  scene.down('chat');
  scene.up('chat');
  await scene.run(GROUP_MS, 2);
  scene.down('chat');
  await scene.clock.advance(10_000);
  scene.up('chat');
  await scene.clock.advance(900_000);
  assert.equal(service.received.length, 2);
});

test('`events` decides: a recovery with a name of its own is sent when it is listed, the others come along', async () => {
  await using service = await AlertStandIn.start();
  const scene = new Scene(service, { events: ['upstream_down', 'all_failed'] });
  const failed: Problem = { kind: 'all_failed', subject: 'gpt-4o', title: 'no upstream', command: 'log' };
  scene.down('chat');
  scene.alerts.raise(failed);
  scene.alerts.raise({ ...failed, kind: 'reload_failed', subject: '' });
  await scene.run(GROUP_MS, 2);
  scene.up('chat');
  scene.alerts.clear('all_failed', 'gpt-4o', { title: 'served again' });
  scene.alerts.clear('reload_failed', '', { title: 'loaded' });
  await scene.run(GROUP_MS, 3);
  assert.deepEqual(scene.outcomes, [
    'upstream_down chat sent',
    'all_failed gpt-4o sent',
    'all_ok gpt-4o sent',
  ]);
  scene.down('chat');
  await scene.run(300_000, 4);
  assert.equal(
    scene.outcomes[3],
    'upstream_down chat sent',
    'a recovery that is not sent does not block the next alert',
  );
});

test('PagerDuty always gets the recovery: without it the incident would stay open', async () => {
  await using service = await AlertStandIn.start();
  const scene = new Scene(service, { type: 'pagerduty', events: ['upstream_down'] });
  scene.down('chat');
  scene.up('chat');
  await scene.run(GROUP_MS, 2);
  assert.deepEqual(
    service.bodies.map((body) => body.event_action),
    ['trigger', 'resolve'],
  );
});

test('a service that fails gets three tries, and the state again when it still exists later', async () => {
  await using service = await AlertStandIn.start((_received, response) => response.writeHead(503).end());
  const scene = new Scene(service, { everyMs: 60_000 });
  scene.down('chat');
  scene.down('spare');
  await scene.clock.advance(GROUP_MS);
  await tries(scene, service, 3);
  assert.ok(scene.outcomes.includes('upstream_down chat failed'), 'after 1 s and 5 s more');
  await tries(scene, service, 6);
  assert.deepEqual(scene.outcomes, ['upstream_down chat failed', 'upstream_down spare failed']);
  scene.up('spare');
  service.respond = (_received, response) => void response.end('ok');
  await scene.run(120_000, 3);
  assert.deepEqual(scene.outcomes.slice(2), ['upstream_down chat sent'], 'the one that ended is not told');
  await scene.channel.close();
});

/** Lets retries happen until the service has got so many requests and their outcome is known. */
async function tries(scene: Scene, service: AlertStandIn, count: number): Promise<void> {
  while (service.received.length < count || scene.outcomes.length < Math.floor(count / 3)) {
    await scene.clock.advance(1_000);
    await sleep(10);
  }
}

test('a refused message is not sent again at once', async () => {
  await using service = await AlertStandIn.start((_received, response) =>
    response.writeHead(404).end('no_service'),
  );
  const scene = new Scene(service);
  scene.down('chat');
  await scene.run(GROUP_MS, 1);
  await scene.clock.advance(60_000);
  assert.equal(service.received.length, 1);
  assert.deepEqual(scene.outcomes, ['upstream_down chat failed']);
});

test('a service that hangs keeps a bounded number of alerts', async () => {
  await using service = await AlertStandIn.start(() => {});
  const scene = new Scene(service, { type: 'slack' });
  scene.down('first');
  await scene.clock.advance(GROUP_MS);
  await until(() => service.received.length === 1, 'the first message');
  for (let number = 0; number < 500; number++) scene.down(`upstream-${number}`);
  assert.equal(scene.outcomes.length, 400);
  assert.equal(scene.outcomes[0], 'upstream_down upstream-0 dropped', 'the oldest first');
});

test('a channel that a reload adds is told of the problems that exist', async () => {
  await using service = await AlertStandIn.start();
  const scene = new Scene(service);
  scene.alerts.setChannels([]);
  scene.down('chat');
  scene.alerts.setChannels([scene.channel]);
  await scene.run(GROUP_MS, 1);
  assert.deepEqual(scene.texts, ['[tokenferry] upstream chat is down']);
});

/** Two replicas with one alert service. */
function replicas(service: AlertStandIn): [MemoryStore, Scene, Scene] {
  const store = new MemoryStore();
  const sceneOf = (name: string) => new Scene(service, { replica: { name, store } });
  return [store, sceneOf('a'), sceneOf('b')];
}

test('of two replicas one sends the alert, and the recovery does not wait longer than a minute for the other', async () => {
  await using service = await AlertStandIn.start();
  const [{ clock }, a, b] = replicas(service);
  for (const scene of [a, b, a, b]) scene.down('chat');
  await a.run(GROUP_MS, 1);
  assert.deepEqual(b.outcomes, []);
  b.up('chat');
  await clock.advance(40_000);
  assert.equal(service.received.length, 1, 'a saw a failure 41 s ago');
  // Without a request a has no news, and says that it exists.
  for (let seconds = 0; seconds < 30; seconds += 15) {
    a.alerts.refresh();
    await clock.advance(15_000);
  }
  await until(() => b.outcomes.length === 1, 'the recovery');
  assert.deepEqual([...a.outcomes, ...b.outcomes], ['upstream_down chat sent', 'upstream_up chat sent']);
  a.alerts.refresh();
  a.up('chat');
  await clock.advance(600_000);
  assert.equal(service.received.length, 2, 'a knows that it was told');
  await Promise.all([a.channel.close(), b.channel.close()]);
  assert.equal(clock.pending, 0, 'no timer is left');
});

test('a replica that fails again after the recovery of another is a new alert', async () => {
  await using service = await AlertStandIn.start();
  const [{ clock }, a, b] = replicas(service);
  for (const scene of [a, b]) scene.down('chat');
  await a.run(GROUP_MS, 1);
  await clock.advance(61_000);
  b.up('chat');
  await b.run(GROUP_MS, 1);
  a.down('chat');
  a.alerts.refresh();
  await a.run(300_000, 2);
  assert.deepEqual(a.outcomes, ['upstream_down chat sent', 'upstream_down chat sent']);
});

test('a change while replicas are asked is sent as well', async () => {
  await using service = await AlertStandIn.start();
  const [, a] = replicas(service);
  a.down('chat');
  a.up('chat');
  await a.run(GROUP_MS, 2);
  assert.deepEqual(a.outcomes, ['upstream_down chat sent', 'upstream_up chat sent']);
});
