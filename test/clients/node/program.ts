import { text } from 'node:stream/consumers';
import { emptyReading, type Order, type Reading, type Task } from '../protocol.ts';

/** One way of reading: fills the reading as it goes, so that what came before an error is kept. */
export type Way = (task: Task, reading: Reading) => Promise<void>;

/** Reads the order, does every task in turn and reports each. */
export async function runProgram(ways: Readonly<Record<string, Way>>): Promise<void> {
  // Some clients print warnings, which would stand between the reports.
  for (const name of ['log', 'info', 'warn'] as const) console[name] = console.error;
  const { tasks } = JSON.parse(await text(process.stdin)) as Order;
  for (const task of tasks) {
    const reading = emptyReading();
    try {
      const way = ways[task.way];
      if (way === undefined) throw new Error(`no way called ${task.way}`);
      await way(task, reading);
    } catch (error) {
      reading.error = errorOf(error);
    }
    process.stdout.write(`${JSON.stringify({ id: task.id, ...reading })}\n`);
  }
  // Some clients keep sockets or timers that would hold the process.
  process.stdout.write('', () => process.exit(0));
}

function errorOf(error: unknown): NonNullable<Reading['error']> {
  if (!(error instanceof Error)) return { kind: typeof error, status: null, message: JSON.stringify(error) };
  const { status, statusCode } = error as { status?: unknown; statusCode?: unknown };
  const number = [status, statusCode].find((value) => typeof value === 'number') as number | undefined;
  return { kind: error.constructor.name, status: number ?? null, message: error.message };
}
