import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { randomFrom } from '../helpers/seeded-random.ts';
import { AgreeableUpstream, type SeenRequest } from './agreeable-upstream.ts';
import { EXAMPLES, SEED } from './fuzz-settings.ts';
import { type ReferenceReply, repliesIn, requestsIn } from './http-reference.ts';
import { type MutatedRequest, mutatedRequest } from './mutated-requests.ts';

const CASES = 20 * EXAMPLES;
const AT_ONCE = 16;
/** Bytes that are no whole request may wait for a rest that never comes; these for their answer. Milliseconds. */
const MAX_SILENCE_MS = 120;
const MAX_ANSWER_MS = 5_000;
const GOOD = JSON.stringify({ model: 'any', messages: [{ role: 'user', content: 'still there?' }] });

interface Exchange {
  readonly received: string;
  /** True: the gateway ended the connection. */
  readonly isClosedByGateway: boolean;
}

/** Sends the bytes in one or more writes, and gives what comes until all is answered, silence, or the connection's end. */
async function exchange(port: number, bytes: Buffer, writes: number): Promise<Exchange> {
  const wholeRequests = requestsIn(bytes).length;
  const isHead = asksForHeads(bytes);
  const socket = connect(port, '127.0.0.1');
  socket.setNoDelay(true);
  let received = '';
  let isClosedByGateway = false;
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    silence.refresh();
    if (wholeRequests > 0 && countOf(received, isHead) >= wholeRequests) socket.destroy();
  });
  socket.once('end', () => {
    isClosedByGateway = true;
  });
  const longestMs = wholeRequests > 0 ? MAX_ANSWER_MS : MAX_SILENCE_MS;
  const silence = setTimeout(() => socket.destroy(), longestMs);
  const closed = once(socket, 'close').catch(() => undefined);
  await Promise.race([once(socket, 'connect').catch(() => undefined), closed]);
  const size = Math.ceil(bytes.length / writes);
  for (let at = 0; at < bytes.length && socket.writable; at += size) {
    socket.write(bytes.subarray(at, at + size));
    if (writes > 1) await new Promise((resolve) => setImmediate(resolve));
  }
  await closed;
  clearTimeout(silence);
  return { received, isClosedByGateway };
}

/** Some of the replies may have no body. */
function asksForHeads(bytes: Buffer): boolean {
  return /(?:^|\n|\s)HEAD /.test(bytes.toString('latin1'));
}

/** How many whole replies came so far; whether they are good ones is judged at the end. */
function countOf(received: string, isHead: boolean): number {
  try {
    return repliesIn(received, isHead).length;
  } catch {
    return 0;
  }
}

function checkReply({ status, headers, body }: ReferenceReply): void {
  assert.ok(status < 500, `${status} ${body.slice(0, 300)}`);
  assert.ok(headers.has('x-request-id'), `${status} without x-request-id`);
  if (status < 400 || body === '') return;
  assert.match(headers.get('content-type') ?? '', /^application\/json/, `${status} ${body.slice(0, 200)}`);
  errorIn(Buffer.from(body, 'latin1').toString('utf8'));
}

/** Every body that the upstream saw has to be one that was sent, to the byte; a mark of bytes' order is no part of it. */
class SentBodies {
  readonly #byTarget = new Map<string, string[]>();
  readonly #all = new Set<string>();

  add(bytes: Buffer): void {
    for (const { target, body } of requestsIn(bytes)) {
      const text = withoutMark(body).toString('latin1');
      this.#all.add(text);
      const mark = markOf(target);
      this.#byTarget.set(mark, [...(this.#byTarget.get(mark) ?? []), text]);
    }
  }

  check({ method, path, body }: SeenRequest): void {
    const text = withoutMark(body).toString('latin1');
    const mark = markOf(path);
    const sent = mark === '' ? (text === '' ? [''] : [...this.#all]) : (this.#byTarget.get(mark) ?? []);
    assert.ok(
      sent.includes(text),
      `${method} ${path}: the upstream saw ${JSON.stringify(text.slice(0, 500))}`,
    );
  }
}

const markOf = (target: string): string => /[?&]case=(\d+)(?:[^\d]|$)/.exec(target)?.[1] ?? '';

function withoutMark(body: Buffer): Buffer {
  return body.subarray(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf])) ? body.subarray(3) : body;
}

test(`${CASES} mutated requests: each gets a response in HTTP and JSON or is cut, none affects the next, and no upstream sees a request that was not sent`, async (context) => {
  await using upstream = await AgreeableUpstream.start();
  upstream.isKeeping = true;
  await using gateway = await Gateway.start({
    dbtype: 'none',
    limits: { header_bytes: 16 * 1024, body: 32 * 1024 },
    upstreams: [{ name: 'agreeable', endpoint: upstream.url, sk: 'upstream-key' }],
  });
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  process.on('warning', onWarning);
  const random = randomFrom(SEED);
  const sent = new SentBodies();
  const statuses = new Map<string, number>();

  const ask = async (request: MutatedRequest, writes: number): Promise<void> => {
    sent.add(request.bytes);
    const { received, isClosedByGateway } = await exchange(gateway.port, request.bytes, writes);
    try {
      const replies = repliesIn(received, asksForHeads(request.bytes));
      for (const reply of replies) checkReply(reply);
      // Whoever sent a whole request first is answered, and not left alone with it.
      const [whole] = requestsIn(request.bytes);
      assert.ok(
        replies.length > 0 || isClosedByGateway || whole === undefined,
        'a whole request got no answer',
      );
      const status = String(replies[0]?.status ?? 'none');
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    } catch (error) {
      const story = `${request.how.join(', ')}\nsent ${JSON.stringify(request.bytes.toString('latin1').slice(0, 2000))}\nreceived ${JSON.stringify(received.slice(0, 2000))}`;
      throw new Error(`${(error as Error).message}\n${story}`, { cause: error });
    }
  };

  for (let made = 0; made < CASES; made += AT_ONCE) {
    const batch = Array.from({ length: AT_ONCE }, (_, index) => ({
      request: mutatedRequest(String(1_000_000 + made + index), random),
      writes: random() < 0.3 ? 3 : 1,
    }));
    await Promise.all(batch.map(({ request, writes }) => ask(request, writes)));
    const good = await gateway.post('/v1/chat/completions', GOOD);
    assert.equal(good.status, 200, await good.text());
    sent.add(Buffer.from(`POST / HTTP/1.1\r\nContent-Length: ${GOOD.length}\r\n\r\n${GOOD}`));
    for (const seen of upstream.seen.splice(0)) sent.check(seen);
  }

  process.off('warning', onWarning);
  assert.deepEqual(warnings, [], 'Node noticed no leak');
  await until(() => upstream.open === 0, 'the upstream is left alone');
  assert.match(await gateway.metrics(), /^tokenferry_inflight 1$/m, 'no request is left running');
  assert.doesNotMatch(gateway.log, /internal error|defect of tokenferry/);
  context.diagnostic(`seed ${SEED}: ${JSON.stringify(Object.fromEntries([...statuses].sort()))}`);
  // Enough of them came through to have been worth it, and enough did not.
  assert.ok((statuses.get('200') ?? 0) > CASES / 20 && (statuses.get('400') ?? 0) > CASES / 20);
});
