/**
 * The upstream of the benchmark, as a process: responds with prepared bytes, so that its own work is small, and
 * issues tokens. Sends its port over the IPC channel.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  CHAT_REPLY,
  CROWD_FRAMES,
  CROWD_GAP_MS,
  embeddingsReply,
  FEW_LONG,
  HELD_GAP_MS,
  MANY_SHORT,
  PACED_FIRST_MS,
  PACED_GAP_MS,
  SHORT_LIFE_S,
  STREAM_END,
  STREAM_FRAMES,
  TOOL_STREAM_FRAMES,
} from './workloads.ts';

const FLOATS_REPLY = embeddingsReply('float', FEW_LONG);
const BASE64_REPLY = embeddingsReply('base64', FEW_LONG);
const MANY_FLOATS_REPLY = embeddingsReply('float', MANY_SHORT);
const MANY_BASE64_REPLY = embeddingsReply('base64', MANY_SHORT);

/** Set by `/failing/on` and `/failing/off`: whether everything below `/failing/` responds 503. */
let isFailing = false;

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => answer(request, Buffer.concat(chunks), response));
});
server.keepAliveTimeout = 120_000;

function answer(request: IncomingMessage, body: Buffer, response: ServerResponse): void {
  // The model is near the start of each prepared request: no parsing needed.
  const start = body.toString('latin1', 0, 60);
  if (request.url === '/oauth2/token') issueToken(response, 300);
  else if (request.url === '/oauth2/short-token') issueToken(response, SHORT_LIFE_S);
  else if (request.url === '/issued') sendWhole(response, Buffer.from(JSON.stringify(issuedAtMs)));
  else if (request.url?.startsWith('/failing/o') === true) setFailing(request.url, response);
  else if (isFailing && request.url?.startsWith('/failing/') === true)
    sendWhole(response, Buffer.from('{"error":{"message":"overloaded"}}'), 503);
  else if (!hasToken(request)) sendWhole(response, Buffer.from('{}'), 401);
  else if (start.includes('bench-embeddings')) sendWhole(response, FLOATS_REPLY);
  else if (start.includes('bench-base64')) sendWhole(response, isBase64(body) ? BASE64_REPLY : FLOATS_REPLY);
  else if (start.includes('bench-many-floats')) sendWhole(response, MANY_FLOATS_REPLY);
  else if (start.includes('bench-many-base64'))
    sendWhole(response, isBase64(body) ? MANY_BASE64_REPLY : MANY_FLOATS_REPLY);
  else if (start.includes('bench-chat')) sendWhole(response, CHAT_REPLY);
  else stream(start, response);
}

function stream(start: string, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  if (start.includes('bench-paced')) pace(response, STREAM_FRAMES, PACED_FIRST_MS, PACED_GAP_MS);
  else if (start.includes('bench-crowd')) pace(response, CROWD_STREAM_FRAMES, PACED_FIRST_MS, CROWD_GAP_MS);
  else if (start.includes('bench-held')) hold(response);
  else burst(response, start.includes('bench-tools') ? TOOL_STREAM_FRAMES : STREAM_FRAMES, 0);
}

const CROWD_STREAM_FRAMES = [...STREAM_FRAMES.slice(0, CROWD_FRAMES - 1), ...STREAM_FRAMES.slice(-1)];

function setFailing(url: string, response: ServerResponse): void {
  isFailing = url.endsWith('/on');
  sendWhole(response, Buffer.from('{}'));
}

/** The format is at the end of the request. */
function isBase64(body: Buffer): boolean {
  return body.toString('latin1', body.length - 40).includes('"base64"');
}

/** One that the gateway obtained and put in; the bare proxy passes the client's own, which begins alike. */
function hasToken(request: IncomingMessage): boolean {
  return request.headers.authorization?.startsWith('Bearer bench-') === true;
}

/** When tokens were issued, by the wall clock. */
const issuedAtMs: number[] = [];

function issueToken(response: ServerResponse, lifeSeconds: number): void {
  issuedAtMs.push(Date.now());
  const value = `bench-${issuedAtMs.length}-${'t'.repeat(900)}`;
  const token = { access_token: value, token_type: 'Bearer', expires_in: lifeSeconds };
  sendWhole(response, Buffer.from(JSON.stringify(token)));
}

function sendWhole(response: ServerResponse, body: Buffer, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length });
  response.end(body);
}

/** A frame a turn of the event loop: as separate writes, as fast as they come. */
function burst(response: ServerResponse, frames: readonly Buffer[], next: number): void {
  const frame = frames[next];
  if (frame === undefined) {
    response.end(STREAM_END);
    return;
  }
  response.write(frame);
  setImmediate(burst, response, frames, next + 1);
}

function pace(response: ServerResponse, frames: readonly Buffer[], firstMs: number, gapMs: number): void {
  response.flushHeaders();
  let next = 0;
  const send = (): void => {
    const frame = frames[next];
    next += 1;
    if (frame === undefined) {
      clearInterval(ticking);
      response.end(STREAM_END);
    } else response.write(frame);
  };
  let ticking: NodeJS.Timeout | undefined;
  setTimeout(() => {
    send();
    ticking = setInterval(send, gapMs);
  }, firstMs);
  response.once('close', () => clearInterval(ticking));
}

function hold(response: ServerResponse): void {
  response.write(STREAM_FRAMES[0]);
  const ticking = setInterval(() => response.write(STREAM_FRAMES[1]), HELD_GAP_MS);
  response.once('close', () => clearInterval(ticking));
}

server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once('disconnect', () => process.exit());
