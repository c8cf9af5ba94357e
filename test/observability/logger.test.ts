import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Outcome } from '../../src/lib/errors/ferry-error.ts';
import { Secret, SecretRegistry } from '../../src/lib/secret.ts';
import { createLogger, type Logger, type LoggerOptions } from '../../src/observability/logger.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { VirtualClock } from '../helpers/virtual-clock.ts';
import { failedRecord, sampleRecord } from '../request-log/sample-record.ts';

/** Runs `use` on a logger with a file of its own; what is in the file afterwards. */
async function logged(
  t: TestContext,
  options: Partial<LoggerOptions>,
  use: (logger: Logger) => void,
): Promise<string> {
  const file = join(temporaryDirectory(t), 'out.log');
  const secrets = new SecretRegistry();
  const clock = new VirtualClock(Date.UTC(2026, 0, 2, 3, 4, 5, 67));
  const logger = createLogger({ level: 'info', format: 'json', file, secrets, clock, ...options });
  use(logger);
  // Without a line there is no file.
  logger.error('end');
  await logger.close();
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -2)
    .map((line) => `${line}\n`)
    .join('');
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

test('a message is one JSON line with time, level, message and its facts', async (t) => {
  const text = await logged(t, {}, (logger) =>
    logger.info('listening', { address: '127.0.0.1:8888', upstreams: 2 }),
  );
  assert.equal(
    text,
    '{"time":"2026-01-02T03:04:05.067Z","level":"info","message":"listening","address":"127.0.0.1:8888","upstreams":2}\n',
  );
});

test('entries below the level are not written', async (t) => {
  const text = await logged(t, { level: 'warn' }, (logger) => {
    for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level](level);
  });
  assert.deepEqual(
    jsonLines(text).map((line) => line.message),
    ['warn', 'error'],
  );
});

test('the level can change while the service runs', async (t) => {
  const text = await logged(t, { level: 'error' }, (logger) => {
    logger.info('unheard');
    logger.setLevel('debug');
    logger.debug('heard');
  });
  assert.deepEqual(
    jsonLines(text).map((line) => line.message),
    ['heard'],
  );
});

test('facts cannot forge a line or its head, and facts that JSON cannot represent do not throw', async (t) => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const text = await logged(t, {}, (logger) => {
    logger.warn('one\n{"level":"info"}', { level: 'debug', message: 'other', time: 'never' });
    logger.warn('odd', { big: 10n, cycle, nothing: undefined, secret: new Secret('hunter2hunter2') });
    const broken = {
      get bad() {
        throw new Error('no');
      },
    };
    logger.warn('broken', broken);
    logger.warn('failed', { error: new TypeError('outer', { cause: new Error('inner') }) });
  });
  const lines = jsonLines(text);
  assert.deepEqual(
    [lines[0]?.level, lines[0]?.message, lines[0]?.time],
    ['warn', 'one\n{"level":"info"}', '2026-01-02T03:04:05.067Z'],
  );
  assert.deepEqual([lines[1]?.big, lines[1]?.secret], ['10', '[redacted]']);
  assert.equal(lines[2]?.message, 'broken');
  assert.equal(lines[3]?.error, 'TypeError: outer; because Error: inner');
});

test('a finished request is one line that names what happened', async (t) => {
  const text = await logged(t, {}, (logger) =>
    logger.acceptRecords([sampleRecord(), failedRecord({ isStream: true })]),
  );
  const [ok, failed] = jsonLines(text);
  assert.deepEqual(ok, {
    time: '2026-01-01T00:00:00.813Z',
    level: 'info',
    message: 'request',
    id: 'req_sample',
    method: 'POST',
    path: '/v1/chat/completions',
    client: 'ragflow',
    model: 'gpt-4o',
    upstream: 'chat',
    status: 200,
    outcome: 'ok',
    attempts: 1,
    first_token_ms: 500,
    elapsed_ms: 813,
    prompt_tokens: 200,
    completion_tokens: 100,
  });
  assert.equal(failed?.level, 'error');
  assert.equal(failed?.stream, true);
  assert.equal(failed?.error_code, 'upstream_auth_error');
  assert.equal(failed?.failed, 'chat unreachable, backup 401 auth_rejected');
});

test('the outcome sets the level of each line of a batch', async (t) => {
  const outcomes: Outcome[] = [
    'ok',
    'client_error',
    'client_gone',
    'rate_limited',
    'upstream_error',
    'stream_broken',
  ];
  const levels = async (level: 'info' | 'warn' | 'error') =>
    jsonLines(
      await logged(t, { level }, (logger) =>
        logger.acceptRecords(outcomes.map((outcome) => sampleRecord({ outcome }))),
      ),
    ).map((line) => line.level);
  assert.deepEqual(await levels('info'), ['info', 'info', 'info', 'warn', 'error', 'error']);
  assert.deepEqual(await levels('warn'), ['warn', 'error', 'error']);
  assert.deepEqual(await levels('error'), ['error', 'error']);
});

test('a traced request has the id of its trace in its line', async (t) => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
  const records = [sampleRecord({ traceId }), sampleRecord()];
  const lines = jsonLines(await logged(t, {}, (logger) => logger.acceptRecords(records)));
  assert.deepEqual(
    lines.map((line) => line.trace_id),
    [traceId, undefined],
  );
  const text = await logged(t, { format: 'text' }, (logger) => logger.acceptRecords(records));
  assert.equal(text.split('\n').filter((line) => line.includes(`trace ${traceId}`)).length, 1);
});

test('what a client puts into a name cannot break its line', async (t) => {
  const nasty = 'a"b\\c\nd\u0000e\u2028f\u001b[31m\u202eg\ud800';
  const record = sampleRecord({
    model: nasty,
    path: `/v1/${nasty}`,
    id: nasty,
    errorMessage: nasty,
    client: null,
  });
  const [line] = jsonLines(await logged(t, {}, (logger) => logger.acceptRecords([record])));
  assert.equal(line?.model, nasty.toWellFormed().replace('\ufffd', '\ud800'));
  const text = await logged(t, { format: 'text' }, (logger) => logger.acceptRecords([record]));
  assert.equal(text.split('\n').length, 2);
  assert.ok(!text.includes('\u001b'), 'no escape sequence reaches the terminal');
  assert.ok(!text.includes('\u202e'), 'and nothing turns its text around');
});

test('the text format has local time, level, status, request, upstream, duration and reason', async (t) => {
  const text = await logged(t, { format: 'text' }, (logger) => {
    logger.info('listening', { address: '127.0.0.1:8888', note: 'two words' });
    logger.acceptRecords([sampleRecord(), failedRecord()]);
  });
  const [message, ok, failed] = text.split('\n');
  assert.match(
    message ?? '',
    /^\d{4}-\d\d-\d\d \d\d:\d\d:05\.067 info {2}listening address=127\.0\.0\.1:8888 note="two words"$/,
  );
  assert.match(
    ok ?? '',
    / info {2}200 POST \/v1\/chat\/completions gpt-4o → chat 813 ms first 500 ms tokens 200\+100 ragflow req_sample$/,
  );
  assert.match(
    failed ?? '',
    / error 502 .* upstream_error upstream_auth_error “The upstream refused our credentials\.” after chat unreachable, backup 401 auth_rejected req_sample$/,
  );
});

test('text is coloured only when configured', async (t) => {
  const one = (isColoured: boolean) =>
    logged(t, { format: 'text', isColoured }, (logger) => logger.error('no'));
  assert.ok((await one(true)).includes('\u001b[31merror\u001b[39m'));
  assert.ok(!(await one(false)).includes('\u001b'));
});

test('no secret is in any line, of a message, its facts, an error or a request', async (t) => {
  const secrets = new SecretRegistry();
  const values = ['eyJhbGciOiJub25lIn0.c2VjcmV0.x', 'pass"word\\93hd7', 'a+b/c=d&e 93hd7'];
  for (const value of values) secrets.add(value);
  for (const format of ['json', 'text'] as const) {
    const text = await logged(t, { format, secrets }, (logger) => {
      for (const value of values) {
        logger.info(`got ${value}`, { value, deep: { list: [value] }, json: JSON.stringify({ value }) });
        logger.error('failed', {
          error: new Error(`refused ${value}`),
          url: `https://x/?t=${encodeURIComponent(value)}`,
        });
        logger.acceptRecords([
          failedRecord({ model: value, path: `/v1/${value}`, errorMessage: `key ${value}`, id: value }),
        ]);
      }
    });
    assert.ok(text.includes('[redacted]'));
    for (const value of [...values, '93hd7', encodeURIComponent('a+b/c=d&e 93hd7')]) {
      assert.ok(!text.includes(value), `${format} holds ${value}`);
    }
  }
});

test('logging to a disk that is full, and after close, throws nothing and counts', async () => {
  const logger = createLogger({
    level: 'info',
    format: 'json',
    file: '/dev/full',
    secrets: new SecretRegistry(),
  });
  logger.info('one');
  logger.acceptRecords([sampleRecord(), sampleRecord()]);
  await logger.close();
  await logger.close();
  logger.info('late');
  logger.acceptRecords([sampleRecord()]);
  assert.equal(logger.droppedLines, 5);
});

test('an invalid record loses its batch and throws nothing', async (t) => {
  const text = await logged(t, {}, (logger) => {
    logger.acceptRecords([{ ...sampleRecord(), attempts: null as never }]);
    logger.info('still here');
  });
  assert.deepEqual(
    jsonLines(text).map((line) => line.message),
    ['still here'],
  );
});
