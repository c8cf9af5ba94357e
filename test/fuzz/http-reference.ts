/** A request as its bytes say by the letter of RFC 9112. */
export interface ReferenceRequest {
  readonly target: string;
  readonly body: Buffer;
}

interface Head {
  readonly target: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly end: number;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/**
 * The requests that follow each other in `bytes`, up to the first that is no request by the letter of RFC 9112, leaves
 * a doubt of where it ends (section 6.3), or is not whole. Whatever reads more into them reads something else.
 */
export function requestsIn(bytes: Buffer): ReferenceRequest[] {
  const requests: ReferenceRequest[] = [];
  let at = 0;
  while (at < bytes.length) {
    const head = headAt(bytes, at);
    if (head === null) break;
    const body = bodyAt(bytes, head);
    if (body === null) break;
    requests.push({ target: head.target, body: body.bytes });
    at = body.end;
  }
  return requests;
}

function headAt(bytes: Buffer, start: number): Head | null {
  let from = start;
  // Section 2.2: empty lines before a request are nothing; Node takes any line ends for them.
  while (bytes[from] === 0x0d || bytes[from] === 0x0a) from += 1;
  const close = bytes.indexOf('\r\n\r\n', from, 'latin1');
  if (close === -1) return null;
  const [first = '', ...lines] = bytes.toString('latin1', from, close).split('\r\n');
  // Section 3: more spaces may stand between the three, as Node reads them.
  const [, method = '', target = ''] = /^(\S+) +(\S+) +HTTP\/1\.[01]$/.exec(first) ?? [];
  if (!TOKEN.test(method)) return null;
  const fields: (readonly [string, string])[] = [];
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon));
    if (!TOKEN.test(name) || /[\r\n\0]/.test(line)) return null;
    fields.push([name.toLowerCase(), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')]);
  }
  return { target, fields, end: close + 4 };
}

function bodyAt(
  bytes: Buffer,
  { fields, end }: Head,
): { readonly bytes: Buffer; readonly end: number } | null {
  const lengths = fields.filter(([name]) => name === 'content-length').map(([, value]) => value);
  const codings = fields.filter(([name]) => name === 'transfer-encoding').map(([, value]) => value);
  if (codings.length > 0) {
    const isChunked = codings.length === 1 && codings[0]?.toLowerCase() === 'chunked';
    return isChunked && lengths.length === 0 ? chunksAt(bytes, end) : null;
  }
  if (lengths.length === 0) return { bytes: Buffer.alloc(0), end };
  const [length = ''] = lengths;
  if (lengths.length > 1 || !/^\d{1,15}$/.test(length)) return null;
  const bodyEnd = end + Number(length);
  return bodyEnd <= bytes.length ? { bytes: bytes.subarray(end, bodyEnd), end: bodyEnd } : null;
}

function chunksAt(bytes: Buffer, start: number): { readonly bytes: Buffer; readonly end: number } | null {
  const chunks: Buffer[] = [];
  let at = start;
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at, 'latin1');
    if (lineEnd === -1) return null;
    const size = /^([0-9a-f]{1,12})[ \t]*(?:;[^\r\n\0]*)?$/i.exec(bytes.toString('latin1', at, lineEnd))?.[1];
    if (size === undefined) return null;
    const from = lineEnd + 2;
    const length = Number.parseInt(size, 16);
    if (length === 0) break;
    const to = from + length;
    if (bytes.toString('latin1', to, to + 2) !== '\r\n') return null;
    chunks.push(bytes.subarray(from, to));
    at = to + 2;
  }
  // What follows the last chunk are trailers, up to an empty line.
  const lastLine = bytes.indexOf('\r\n', at, 'latin1');
  const trailers = bytes.indexOf('\r\n\r\n', lastLine, 'latin1');
  return trailers === -1 ? null : { bytes: Buffer.concat(chunks), end: trailers + 4 };
}

export interface ReferenceReply {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** What is wrong with a reply's bytes. */
export class BadReply extends Error {}

/**
 * The replies in what a connection gave; 1xx are left out. `hasNoBodies`: some answered HEAD. Throws `BadReply` for
 * anything that is no well-formed HTTP message, or that stops in the middle of one.
 */
export function repliesIn(text: string, hasNoBodies: boolean): ReferenceReply[] {
  const replies: ReferenceReply[] = [];
  let rest = text;
  while (rest !== '') {
    const close = rest.indexOf('\r\n\r\n');
    if (close === -1) throw new BadReply(`no end of the head: ${JSON.stringify(rest.slice(0, 300))}`);
    const [first = '', ...lines] = rest.slice(0, close).split('\r\n');
    const status = Number(/^HTTP\/1\.1 ([1-5]\d\d) [\x20-\x7e]*$/.exec(first)?.[1]);
    if (Number.isNaN(status)) throw new BadReply(`status line: ${JSON.stringify(first.slice(0, 300))}`);
    const headers = new Map<string, string>();
    for (const line of lines) {
      const [, name = '', value = ''] = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([\x20-\x7e]*)$/.exec(line) ?? [];
      if (name === '') throw new BadReply(`header line: ${JSON.stringify(line)}`);
      if (headers.has(name.toLowerCase())) throw new BadReply(`${name} twice`);
      headers.set(name.toLowerCase(), value);
    }
    rest = rest.slice(close + 4);
    if (status < 200) continue;
    const body = replyBody(rest, headers, status);
    if (hasNoBodies && (body === null || /^HTTP\/1\.1 /.test(rest))) {
      replies.push({ status, headers, body: '' });
      continue;
    }
    if (body === null)
      throw new BadReply(`the body of ${status} is not whole: ${JSON.stringify(rest.slice(0, 300))}`);
    rest = rest.slice(body.length);
    replies.push({ status, headers, body: body.text });
  }
  return replies;
}

function replyBody(
  rest: string,
  headers: ReadonlyMap<string, string>,
  status: number,
): { readonly text: string; readonly length: number } | null {
  if (status === 204 || status === 304) return { text: '', length: 0 };
  const length = headers.get('content-length');
  if (headers.get('transfer-encoding') === 'chunked') {
    if (length !== undefined) throw new BadReply('Content-Length and Transfer-Encoding');
    // A reply's chunks follow the same rules as a request's.
    const chunks = chunksAt(Buffer.from(rest, 'latin1'), 0);
    return chunks === null ? null : { text: chunks.bytes.toString('latin1'), length: chunks.end };
  }
  // To the end of the connection.
  if (length === undefined) return { text: rest, length: rest.length };
  if (!/^\d+$/.test(length)) throw new BadReply(`Content-Length: ${length}`);
  return rest.length >= Number(length)
    ? { text: rest.slice(0, Number(length)), length: Number(length) }
    : null;
}
