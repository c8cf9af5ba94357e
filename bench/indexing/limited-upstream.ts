/**
 * Embeddings behind a rate limit, in a process of its own. argv: the limiter, its rate in calls a second, the hint, the
 * latency in ms. Its first line of output is its URL; `GET /counts` tells what it has accepted and refused.
 */
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  fixedWindow,
  type LimitHint,
  limitHeaders,
  type RateLimiter,
  slidingWindow,
  tokenBucket,
} from '../../test/helpers/rate-limiters.ts';

/** Limiters by the names of the command line, for a rate in calls a second. */
const LIMITERS: Readonly<Record<string, (perSecond: number) => RateLimiter>> = {
  'sliding-second': (perSecond) => slidingWindow(perSecond, 1_000),
  'fixed-second': (perSecond) => fixedWindow(perSecond, 1_000),
  bucket: (perSecond) => tokenBucket(perSecond, perSecond),
  'large-bucket': (perSecond) => tokenBucket(perSecond, perSecond * 5),
  'fixed-minute': (perSecond) => fixedWindow(perSecond * 60, 60_000),
  'sliding-minute': (perSecond) => slidingWindow(perSecond * 60, 60_000),
};

const [kind = 'sliding-second', perSecond = '3', hint = 'nothing', latencyMs = '40'] = process.argv.slice(2);
const create = LIMITERS[kind];
if (create === undefined) throw new Error(`unknown limiter ${kind}: ${Object.keys(LIMITERS).join(', ')}`);
const limiter = create(Number(perSecond));
const counts = { accepted: 0, refused: 0, firstMs: 0, lastMs: 0 };
const VECTOR = Array.from({ length: 8 }, (_, index) => (index + 1) / 8);

const server = createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (request.method === 'GET') {
    response.end(JSON.stringify(counts));
    return;
  }
  const nowMs = performance.now();
  const decision = limiter(nowMs);
  const headers = { 'content-type': 'application/json', ...limitHeaders(hint as LimitHint, decision) };
  if (!decision.isAccepted) {
    counts.refused += 1;
    response.writeHead(429, headers);
    response.end('{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}');
    return;
  }
  counts.firstMs ||= nowMs;
  counts.lastMs = nowMs;
  counts.accepted += 1;
  const body = JSON.parse(Buffer.concat(chunks).toString()) as { input: unknown; encoding_format?: string };
  const inputs = Array.isArray(body.input) && typeof body.input[0] !== 'number' ? body.input : [body.input];
  const isBase64 = body.encoding_format === 'base64';
  const embedding = isBase64 ? Buffer.from(new Float32Array(VECTOR).buffer).toString('base64') : VECTOR;
  await sleep(Number(latencyMs));
  const data = inputs.map((_, index) => ({ object: 'embedding', index, embedding }));
  response.writeHead(200, headers);
  response.end(
    JSON.stringify({ object: 'list', model: 'm', data, usage: { prompt_tokens: 1, total_tokens: 1 } }),
  );
});
server.keepAliveTimeout = 75_000;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') console.log(`http://127.0.0.1:${address.port}`);
});
