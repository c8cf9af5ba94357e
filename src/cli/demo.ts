import { once } from 'node:events';
import { countdownLine, instructions, SHOWN_REQUESTS, screen } from '../demo/console.ts';
import { type Demo, startDemo, TRAFFIC_CLIENT } from '../demo/stack.ts';
import type { RequestRecord } from '../lib/request-record.ts';
import { readArguments, UsageError, withUsage } from './arguments.ts';

const USAGE = 'usage: tokenferry demo [--port 8888] [--token-life SECONDS]';

/** Interval of the line that is printed without a terminal. */
const PLAIN_LINE_EVERY_MS = 60_000;
const TICK_MS = 1000;

/** Below it a renewal would be due all the time. Seconds. */
const SHORTEST_TOKEN_LIFE_S = 10;

interface DemoArguments {
  readonly port: number;
  readonly tokenLifetimeMs: number;
}

/** `tokenferry demo`: runs until SIGINT or SIGTERM, or until nobody reads its output. Resolves with the exit code. */
export async function demo(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, () => run(demoArguments(args)));
}

async function run(given: DemoArguments): Promise<number> {
  const stopped = untilStopped();
  const view = process.stdout.isTTY ? new LiveView() : new PlainView();
  const started = await startDemo({
    ...given,
    hasTraffic: true,
    tryConfiguration: async (...trial) => (await import('./trial.ts')).tryConfiguration(...trial),
    onIssue: (serial) => view.onIssue(serial),
    onRecords: (records) => view.onRecords(records),
  });
  view.begin(instructions({ ...started, tokenLifetimeMs: given.tokenLifetimeMs }));
  view.show(started);
  const ticking = setInterval(() => view.show(started), TICK_MS);
  try {
    await stopped;
  } finally {
    clearInterval(ticking);
    view.end();
    await started.close();
  }
  return 0;
}

function demoArguments(args: readonly string[]): DemoArguments {
  const { values } = readArguments(args, {
    port: { type: 'string', default: '8888' },
    'token-life': { type: 'string', default: '300' },
  });
  const [port, lifeSeconds] = [Number(values.port), Number(values['token-life'])];
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new UsageError('--port is a number up to 65535');
  if (!(lifeSeconds >= SHORTEST_TOKEN_LIFE_S))
    throw new UsageError(`--token-life is ${SHORTEST_TOKEN_LIFE_S} seconds or more`);
  return { port, tokenLifetimeMs: lifeSeconds * 1000 };
}

async function untilStopped(): Promise<void> {
  // The listener stays: what is printed at the end fails too. The console alone hears no error of a socket.
  const unread = new Promise<void>((resolve) => process.stdout.on('error', () => resolve()));
  const heard = new AbortController();
  const signals = ['SIGINT', 'SIGTERM'].map((name) => once(process, name, { signal: heard.signal }));
  await Promise.race([...signals, unread]);
  heard.abort();
  await Promise.allSettled(signals);
}

/** Redraws the screen of a terminal every second and after each request. */
class LiveView {
  #running: Demo | null = null;
  #requests: readonly RequestRecord[] = [];

  onIssue(): void {
    // The token's number on the screen shows it.
  }

  onRecords(records: readonly RequestRecord[]): void {
    const asked = records.filter(({ path, client }) => path.startsWith('/v1/') && client !== TRAFFIC_CLIENT);
    this.#requests = [...this.#requests, ...asked].slice(-SHOWN_REQUESTS);
    if (this.#running !== null && asked.length > 0) this.show(this.#running);
  }

  begin(): void {
    process.stdout.write('\x1b[2J');
  }

  show(running: Demo): void {
    this.#running = running;
    const lines = screen(running, running.token(), this.#requests, process.stdout.columns || 80);
    process.stdout.write(`\x1b[H${lines.map((line) => `${line}\x1b[K`).join('\n')}\n\x1b[J`);
  }

  end(): void {
    process.stdout.write('stopping\n');
  }
}

/** For logs and pipes: a line at each renewal and one a minute. */
class PlainView {
  #shownAtMs = Number.NEGATIVE_INFINITY;
  #issued = 0;
  #reported = 0;

  onIssue(serial: number): void {
    this.#issued = serial;
  }

  onRecords(): void {
    // Only its own lines: the output of a pipe is read by programs.
  }

  begin(text: string): void {
    console.log(text);
  }

  show(running: Demo): void {
    const token = running.token();
    if (token === undefined) return;
    const isFirstOnItsWay = token.generation === 0 && token.consecutiveFailures === 0;
    if (isFirstOnItsWay) return;
    const isNew = token.generation !== this.#reported && token.remainingMs !== null;
    if (!isNew && performance.now() - this.#shownAtMs < PLAIN_LINE_EVERY_MS) return;
    this.#shownAtMs = performance.now();
    this.#reported = token.generation;
    const what = isNew
      ? `token ${token.generation} obtained (${this.#issued} issued so far)\n${' '.repeat(10)}`
      : '';
    console.log(`${clockTime()}  ${what}${countdownLine(token)}`);
  }

  end(): void {
    console.log(`${clockTime()}  stopping`);
  }
}

function clockTime(): string {
  return new Date().toTimeString().slice(0, 8);
}
