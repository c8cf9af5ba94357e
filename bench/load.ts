/**
 * The load generator, as a process of its own: keep-alive connections, a fixed number of requests, a fixed number
 * at a time. Takes an `Order` over the IPC channel and returns a `LoadResult`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, type Dispatcher } from 'undici';
import {
  CROWD_FRAMES,
  CROWD_GAP_MS,
  FIRST_CONTENT,
  PACED_LENGTH_MS,
  WORKLOADS,
  type WorkloadName,
} from './workloads.ts';

export type Order =
  | {
      readonly kind: 'run';
      readonly origin: string;
      readonly workload: WorkloadName;
      readonly requests: number;
      readonly concurrency: number;
    }
  /** Sends chat requests at an even rate, independent of their results. */
  | { readonly kind: 'steady'; readonly origin: string; readonly perSecond: number; readonly seconds: number }
  /** Opens streams and keeps them until `release`. */
  | { readonly kind: 'hold'; readonly origin: string; readonly streams: number }
  | { readonly kind: 'release' };

export interface LoadResult {
  readonly done: number;
  readonly failed: number;
  readonly elapsedMs: number;
  /** From the request to the first content (of a whole response: its first bytes), of each request. */
  readonly firstContentMs: readonly number[];
  /** From the request to the end of its response, of each request. */
  readonly wholeMs: readonly number[];
  readonly bytes: number;
  /** When each request was sent, by the wall clock; only of steady load. */
  readonly sentAtMs?: readonly number[];
  /** Of the first failure. */
  readonly failure?: string;
}

const NO_TIMES = { firstContentMs: [], wholeMs: [], bytes: 0 };
const AUTHORIZATION = 'Bearer bench-client-key';
const agent = new Agent({ connections: null, bodyTimeout: 0, headersTimeout: 60_000, pipelining: 1 });
const held: Dispatcher.DispatchController[] = [];

/** Streams are spread over the length of one, in milliseconds, so that they do not stay in step. */
const SPREAD_MS: Partial<Record<WorkloadName, number>> = {
  paced: PACED_LENGTH_MS,
  crowd: CROWD_FRAMES * CROWD_GAP_MS,
};
const STREAMS: ReadonlySet<WorkloadName> = new Set(['burst', 'tools', 'paced', 'crowd', 'held']);

interface Answer {
  readonly firstContentMs: number;
  readonly wholeMs: number;
  readonly bytes: number;
}

/** One request; resolves when its body has ended. Rejects unless it is a 200 with a complete body. */
function ask(
  origin: string,
  name: WorkloadName,
  onFirst?: (controller: Dispatcher.DispatchController) => void,
): Promise<Answer> {
  const { path, request } = WORKLOADS[name];
  const isStream = STREAMS.has(name);
  const startedMs = performance.now();
  return new Promise((done, fail) => {
    let status = 0;
    let bytes = 0;
    let firstContentMs = 0;
    let tail: Buffer = Buffer.alloc(0);
    agent.dispatch(
      {
        origin,
        path,
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: AUTHORIZATION },
        body: request,
      },
      {
        onRequestStart() {},
        onResponseStart(_controller, code) {
          status = code;
        },
        onResponseData(controller, chunk) {
          if (bytes === 0) onFirst?.(controller);
          // A role frame is no content: gateways may hold it back until there is content.
          if (firstContentMs === 0 && (!isStream || chunk.includes(FIRST_CONTENT))) {
            firstContentMs = performance.now() - startedMs;
          }
          bytes += chunk.length;
          tail = chunk;
        },
        onResponseEnd() {
          if (status === 200 && isComplete(name, tail))
            done({ firstContentMs, wholeMs: performance.now() - startedMs, bytes });
          else
            fail(new Error(`status ${status}, ${bytes} bytes, ends in ${tail.toString('utf8').slice(-200)}`));
        },
        onResponseError(_controller, error) {
          fail(error);
        },
      },
    );
  });
}

function isComplete(name: WorkloadName, tail: Buffer): boolean {
  const end = tail.toString('latin1', Math.max(0, tail.length - 8)).trimEnd();
  return STREAMS.has(name) ? end.endsWith('[DONE]') : end.endsWith('}');
}

async function run(
  origin: string,
  name: WorkloadName,
  requests: number,
  concurrency: number,
): Promise<LoadResult> {
  const [firstContentMs, wholeMs]: [number[], number[]] = [[], []];
  let [started, failed, bytes, failure] = [0, 0, 0, ''];
  const startedMs = performance.now();
  const worker = async (position: number): Promise<void> => {
    const spreadMs = SPREAD_MS[name];
    if (spreadMs !== undefined) await sleep((spreadMs * position) / concurrency);
    while (started < requests && failed === 0) {
      started += 1;
      try {
        const answer = await ask(origin, name);
        firstContentMs.push(answer.firstContentMs);
        wholeMs.push(answer.wholeMs);
        bytes += answer.bytes;
      } catch (error) {
        failed += 1;
        failure ||= String(error);
      }
    }
  };
  await Promise.all(Array.from({ length: concurrency }, (_, position) => worker(position)));
  const elapsedMs = performance.now() - startedMs;
  return {
    done: firstContentMs.length,
    failed,
    elapsedMs,
    firstContentMs,
    wholeMs,
    bytes,
    ...(failure === '' ? {} : { failure }),
  };
}

const STEADY_TICK_MS = 10;

async function steady(origin: string, perSecond: number, seconds: number): Promise<LoadResult> {
  const [sentAtMs, firstContentMs, running]: [number[], number[], Promise<unknown>[]] = [[], [], []];
  let failure = '';
  const startedMs = performance.now();
  const total = perSecond * seconds;
  for (let sent = 0; sent < total; ) {
    // By the clock and not by the tick: a late tick makes up for what it missed.
    const due = Math.min(total, ((performance.now() - startedMs) * perSecond) / 1000);
    for (; sent < due; sent += 1) {
      const atMs = Date.now();
      const one = ask(origin, 'chat').then(
        (answer) => {
          sentAtMs.push(atMs);
          firstContentMs.push(answer.firstContentMs);
        },
        (error) => {
          failure ||= String(error);
        },
      );
      running.push(one);
    }
    await sleep(STEADY_TICK_MS);
  }
  await Promise.all(running);
  const failed = total - sentAtMs.length;
  const elapsedMs = performance.now() - startedMs;
  return {
    done: sentAtMs.length,
    failed,
    elapsedMs,
    firstContentMs,
    wholeMs: [],
    bytes: 0,
    sentAtMs,
    failure,
  };
}

/** Resolves when every stream has brought its first bytes. */
async function hold(origin: string, streams: number): Promise<LoadResult> {
  const startedMs = performance.now();
  const opening = Array.from(
    { length: streams },
    () =>
      new Promise<void>((done, fail) => {
        ask(origin, 'held', (controller) => {
          held.push(controller);
          done();
        }).catch(fail);
      }),
  );
  await Promise.all(opening);
  return { ...NO_TIMES, done: streams, failed: 0, elapsedMs: performance.now() - startedMs };
}

function release(): LoadResult {
  const released = held.splice(0);
  for (const controller of released) controller.abort(new Error('released'));
  return { ...NO_TIMES, done: released.length, failed: 0, elapsedMs: 0 };
}

async function obey(order: Order): Promise<LoadResult> {
  if (order.kind === 'run') return run(order.origin, order.workload, order.requests, order.concurrency);
  if (order.kind === 'steady') return steady(order.origin, order.perSecond, order.seconds);
  return order.kind === 'hold' ? hold(order.origin, order.streams) : release();
}

process.on('message', (order: Order | string) => {
  if (typeof order === 'string') return; // for the meter
  obey(order).then(
    (result) => process.send?.({ result }),
    (error) =>
      process.send?.({
        result: { ...NO_TIMES, done: 0, failed: 1, elapsedMs: 0, failure: String(error) },
      }),
  );
});
process.once('disconnect', () => process.exit());
// The meter lets go of the channel, but here it is what keeps the process.
process.channel?.ref();
