import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { ANSWERS, chunk, type Json } from '../answers.ts';
import { jsonOf, sse, type Vector } from '../vector.ts';

const events = (chunks: readonly unknown[]): string[] => [...chunks.map(jsonOf), '[DONE]'];

/** Every event with this before and after its data. */
const wrapped =
  (before: string, after = '\n\n') =>
  (chunks: readonly unknown[]): string =>
    events(chunks)
      .map((data) => `${before}${data}${after}`)
      .join('');

/** OpenAI's stream with this put in front of every event. */
const between = (extra: string) => (chunks: readonly unknown[]) =>
  sse(chunks).replaceAll('data: {', `${extra}data: {`);

const endingWith = (end: string) => (chunks: readonly unknown[]) =>
  sse(chunks).replace('data: [DONE]\n\n', end);

/** Line ends of all kinds, in turn. */
function mixedLineEnds(chunks: readonly unknown[]): string {
  const ends = ['\n\n', '\r\n\r\n', '\r\r', '\r\n\n'];
  return events(chunks)
    .map((data, position) => `data: ${data}${ends[position % ends.length]}`)
    .join('');
}

function pretty(chunks: readonly unknown[]): string {
  const lines = (one: unknown) =>
    JSON.stringify(one, null, 1)
      .split('\n')
      .map((line) => `data: ${line}\n`)
      .join('');
  return `${chunks.map((one) => `${lines(one)}\n`).join('')}data: [DONE]\n\n`;
}

function twoInOne(chunks: readonly unknown[]): string {
  const pairs = events(chunks).map((data, position) => `data: ${data}\n${position % 2 === 1 ? '\n' : ''}`);
  return `${pairs.join('')}\n`;
}

const ndjson = (chunks: readonly unknown[]) => chunks.map((one) => `${jsonOf(one)}\n`).join('');

const envelope = (data: unknown) => ({ code: 0, msg: 'ok', data });

/** The events' shape around the JSON. */
const LINES: readonly Vector[] = [
  { name: 'no-space', quirks: ['Q1'], answer: 'text', text: wrapped('data:') },
  { name: 'crlf', quirks: ['Q2'], answer: 'text', text: wrapped('data: ', '\r\n\r\n') },
  { name: 'cr', quirks: ['Q3'], answer: 'text', text: wrapped('data: ', '\r\r') },
  { name: 'mixed-line-ends', quirks: ['Q4'], answer: 'text', text: mixedLineEnds, segment: 7 },
  { name: 'byte-order-mark', quirks: ['Q5'], answer: 'text', text: (chunks) => `\ufeff${sse(chunks)}` },
  {
    name: 'comments',
    quirks: ['Q7'],
    answer: 'text',
    text: (chunks) => `: OPENROUTER PROCESSING\n\n${between(': still here\n')(chunks)}`,
  },
  { name: 'wrapped-comments', quirks: ['Q8'], answer: 'text', text: between('data: : keepalive\n\n') },
  { name: 'empty-data', quirks: ['Q9'], answer: 'text', text: between('data:\n\ndata: \n\n') },
  { name: 'event-ping', quirks: ['Q10'], answer: 'text', text: between('event: ping\n\n') },
  {
    name: 'event-ping-with-data',
    quirks: ['Q10'],
    answer: 'text',
    text: between('event: ping\ndata: {"type": "ping"}\n\n'),
  },
  { name: 'event-message', quirks: ['Q11'], answer: 'text', text: between('event: message\n') },
  { name: 'ids', quirks: ['Q12'], answer: 'text', text: between('id: 17\n') },
  { name: 'retry', quirks: ['Q12'], answer: 'text', text: between('retry: 3000\n\n') },
  { name: 'pretty-printed', quirks: ['Q13'], answer: 'text', text: pretty },
  { name: 'two-in-one-event', quirks: ['Q15'], answer: 'text', text: twoInOne },
  { name: 'no-blank-lines', quirks: ['Q17'], answer: 'text', text: wrapped('data: ', '\n') },
  { name: 'heartbeats', quirks: ['Q44'], answer: 'text', text: between('data: {}\n\ndata: null\n\n') },
  {
    name: 'invalid-event',
    quirks: ['Q45'],
    answer: 'text',
    text: between("data: {'choices': [}\n\n"),
  },
  {
    name: 'not-a-number',
    quirks: ['Q45'],
    answer: 'text',
    text: (chunks) => sse(chunks).replaceAll('"logprobs":null', '"logprobs":null,"score":NaN'),
  },
  {
    name: 'double-encoded',
    quirks: ['Q42'],
    answer: 'text',
    text: (chunks) => sse(chunks.map((one) => JSON.stringify(JSON.stringify(one)))),
  },
  {
    name: 'envelope-in-each-event',
    quirks: ['Q42'],
    answer: 'text',
    text: (chunks) => sse(chunks.map(envelope)),
  },
];

/** How the stream ends. */
const ENDS: readonly Vector[] = [
  { name: 'no-final-blank-line', quirks: ['Q22'], answer: 'text', text: (chunks) => sse(chunks).trimEnd() },
  {
    name: 'no-final-blank-line-no-done',
    quirks: ['Q22', 'Q23'],
    answer: 'text',
    text: (chunks) => endingWith('')(chunks).trimEnd(),
  },
  { name: 'no-done', quirks: ['Q23'], answer: 'text', text: endingWith('') },
  {
    name: 'done-twice',
    quirks: ['Q24'],
    answer: 'text',
    text: endingWith('data: [DONE]\n\ndata: [DONE]\n\n'),
  },
  {
    name: 'data-after-done',
    quirks: ['Q24'],
    answer: 'text',
    text: (chunks) => `${sse(chunks)}${sse([chunk({ content: ' and more' })])}`,
  },
  { name: 'done-with-space', quirks: ['Q25'], answer: 'text', text: endingWith('data: [DONE] \n\n') },
  { name: 'done-quoted', quirks: ['Q25'], answer: 'text', text: endingWith('data: "[DONE]"\n\n') },
  { name: 'done-bare', quirks: ['Q25'], answer: 'text', text: endingWith('[DONE]\n\n') },
  { name: 'done-without-brackets', quirks: ['Q25'], answer: 'text', text: endingWith('data: DONE\n\n') },
  { name: 'stays-open', quirks: ['Q26'], answer: 'text', staysOpen: true },
  { name: 'ends-with-connection', quirks: ['Q43'], answer: 'text', ending: 'close' },
  { name: 'content-length', quirks: ['Q43'], answer: 'text', ending: 'length' },
];

/** One event with the whole text. */
function inOneEvent(chunks: readonly Json[]): Json[] {
  const { text } = ANSWERS.long;
  return [...chunks.slice(0, 1), chunk({ content: text.join('') }), ...chunks.slice(1 + text.length)];
}

/** What carries the stream. */
const TRANSPORT: readonly Vector[] = [
  { name: 'event-over-one-megabyte', quirks: ['Q47'], answer: 'long', chunks: inOneEvent },
  { name: 'one-byte-segments', quirks: ['Q18', 'Q19'], answer: 'text', segment: 1 },
  { name: 'three-byte-segments', quirks: ['Q19'], answer: 'calls', segment: 3 },
  { name: 'gzip', quirks: ['Q31'], answer: 'text', bytes: gzipSync, headers: { 'content-encoding': 'gzip' } },
  {
    name: 'brotli',
    quirks: ['Q31'],
    answer: 'text',
    bytes: brotliCompressSync,
    headers: { 'content-encoding': 'br' },
    segment: 20,
  },
  {
    name: 'deflate',
    quirks: ['Q31'],
    answer: 'text',
    bytes: deflateSync,
    headers: { 'content-encoding': 'deflate' },
  },
  {
    name: 'zstd',
    quirks: ['Q31'],
    answer: 'text',
    bytes: zstdCompressSync,
    headers: { 'content-encoding': 'zstd' },
  },
  { name: 'as-json-type', quirks: ['Q32'], answer: 'text', contentType: 'application/json' },
  { name: 'as-plain-type', quirks: ['Q32'], answer: 'text', contentType: 'text/plain' },
  { name: 'as-binary-type', quirks: ['Q32'], answer: 'text', contentType: 'application/octet-stream' },
  { name: 'without-type', quirks: ['Q32'], answer: 'text', contentType: null },
  { name: 'ndjson', quirks: ['Q33'], answer: 'text', text: ndjson, contentType: 'application/x-ndjson' },
  {
    name: 'ndjson-calls',
    quirks: ['Q33'],
    answer: 'calls',
    text: ndjson,
    contentType: 'application/x-ndjson',
  },
  { name: 'white-space-first', quirks: ['Q37'], answer: 'text', text: (chunks) => `\n \n\n${sse(chunks)}` },
  {
    name: 'utf-16',
    quirks: ['Q46'],
    answer: 'text',
    bytes: (text) => Buffer.from(text, 'utf16le'),
    contentType: 'text/event-stream; charset=utf-16le',
  },
  {
    name: 'gbk',
    quirks: ['Q46'],
    answer: 'text',
    bytes: inGbk,
    contentType: 'text/event-stream; charset=gbk',
    segment: 5,
  },
];

const GBK: Readonly<Record<string, readonly number[]>> = { 你: [0xc4, 0xe3], 好: [0xba, 0xc3] };

/** As a server with Chinese as its language writes JSON: what GBK has not is escaped. */
export function inGbk(text: string): Uint8Array {
  const units = [...text].flatMap((char) => GBK[char] ?? [...escaped(char)].map((one) => one.charCodeAt(0)));
  return Uint8Array.from(units);
}

function escaped(char: string): string {
  if (char < '\u0080') return char;
  return Array.from(
    { length: char.length },
    (_, at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, '0')}`,
  ).join('');
}

/** A stream that repeats the message so far beside each delta. */
function growingMessage(chunks: Json[]): Json[] {
  let content = '';
  return chunks.map((one) => ({
    ...one,
    choices: (one.choices as Json[]).map((choice) => {
      content += String((choice.delta as Json).content ?? '');
      return { ...choice, message: { role: 'assistant', content } };
    }),
  }));
}

export const FRAMING: readonly Vector[] = [
  ...LINES,
  ...ENDS,
  ...TRANSPORT,
  { name: 'growing-message', quirks: ['Q47c'], answer: 'text', chunks: growingMessage, text: endingWith('') },
];
