import { spawn } from 'node:child_process';
import { type Client, clientEnvironment } from './clients.ts';
import type { Report, Task } from './protocol.ts';

/** A reading takes milliseconds; the first one also the client's start on a busy machine. */
const MAX_READING_MS = 60_000;

/** Runs the client's program on these tasks. Throws with its own words when it does not report all of them. */
export async function runClient(client: Client, tasks: readonly Task[]): Promise<Map<string, Report>> {
  const [command = '', ...args] = client.command;
  const child = spawn(command, args, {
    env: { ...process.env, ...clientEnvironment() },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const patience = setTimeout(() => child.kill('SIGKILL'), MAX_READING_MS);
  let reported = '';
  let complaints = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    reported += text;
    patience.refresh();
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaints += text;
  });
  child.stdin.on('error', () => undefined);
  child.stdin.end(JSON.stringify({ tasks }));
  const ending = await new Promise<string>((done) => {
    child.on('error', (error) => done(`could not start (npm run install:clients): ${error.message}`));
    child.on('close', (code, signal) => done(`ended with ${signal ?? code}`));
  });
  clearTimeout(patience);
  const lines = reported.split('\n').slice(0, -1);
  const reports = new Map(lines.map((line) => JSON.parse(line) as Report).map((one) => [one.id, one]));
  if (reports.size !== tasks.length) {
    const next = tasks[reports.size]?.id;
    throw new Error(`${client.name} ${ending} at "${next}":\n${complaints.slice(-3000)}`);
  }
  return reports;
}
