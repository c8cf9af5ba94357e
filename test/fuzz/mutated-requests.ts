import { FIELDS, LENGTHS, METHODS, TARGETS, VERSIONS } from './odd-http.ts';

type Random = () => number;

/** A well-formed request, and what becomes of it. */
export interface MutatedRequest {
  readonly bytes: Buffer;
  /** The mutations by their names, for the message of a failure. */
  readonly how: readonly string[];
}

interface Parts {
  line: string;
  fields: string[];
  body: Buffer;
}

const JSON_TYPE = 'Content-Type: application/json';

/** Well-formed requests to every kind of path; `mark` tells them apart where they arrive. */
function bases(mark: string): Parts[] {
  const json = (members: object): Buffer =>
    Buffer.from(JSON.stringify({ model: 'any', user: mark, ...members }));
  const post = (path: string, body: Buffer, type = JSON_TYPE): Parts => ({
    line: `POST ${path}?case=${mark} HTTP/1.1`,
    fields: ['Host: 127.0.0.1', type, `Content-Length: ${body.length}`],
    body,
  });
  const get = (path: string): Parts => ({
    line: `GET ${path}?case=${mark} HTTP/1.1`,
    fields: ['Host: 127.0.0.1', 'Accept: */*'],
    body: Buffer.alloc(0),
  });
  const chat = json({ messages: [{ role: 'user', content: 'When does the ferry leave? ⛴' }] });
  const form = Buffer.from(
    `--cut\r\nContent-Disposition: form-data; name="model"\r\n\r\nany\r\n--cut\r\nContent-Disposition: form-data; name="file"; filename="${mark}"\r\n\r\nbytes\r\n--cut--\r\n`,
  );
  return [
    post('/v1/chat/completions', chat),
    chunked(post('/v1/chat/completions', chat)),
    post('/v1/chat/completions', json({ messages: [], stream: true })),
    post('/v1/completions', json({ prompt: 'It leaves' })),
    post('/v1/embeddings', json({ input: ['one', 'two'] })),
    post('/v1/rerank', json({ query: 'ferry', documents: ['a', 'b'] })),
    chunked(post('/v1/files', Buffer.from(`plain bytes of ${mark}`), 'Content-Type: text/plain')),
    post('/v1/audio/transcriptions', form, 'Content-Type: multipart/form-data; boundary=cut'),
    post('/v1/responses', json({ input: 'Hello' })),
    get('/v1/models'),
    get('/v1/models/any'),
    get('/readyz'),
    get('/metrics'),
  ];
}

function chunked(parts: Parts): Parts {
  const { body } = parts;
  const half = body.length >> 1;
  const pieces = [body.subarray(0, half), body.subarray(half)];
  const coded = pieces.flatMap((piece) => [
    Buffer.from(`${piece.length.toString(16)}\r\n`),
    piece,
    Buffer.from('\r\n'),
  ]);
  return {
    line: parts.line,
    fields: parts.fields.map((field) =>
      field.startsWith('Content-Length') ? 'Transfer-Encoding: chunked' : field,
    ),
    body: Buffer.concat([...coded, Buffer.from('0\r\n\r\n')]),
  };
}

type Mutation = (parts: Parts, random: Random) => void;

const pick = <Item>(items: readonly Item[], random: Random): Item =>
  items[Math.floor(random() * items.length)] as Item;
const place = (length: number, random: Random): number => Math.floor(random() * (length + 1));

/** Mutations of a part each, which leave the others as they are. */
const MUTATIONS: Readonly<Record<string, Mutation>> = {
  method: (parts, random) => {
    parts.line = parts.line.replace(/^\S+/, pick(METHODS, random));
  },
  target: (parts, random) => {
    parts.line = parts.line.replace(/ \S+ /, ` ${pick(TARGETS, random)} `);
  },
  'target inside': (parts, random) => {
    const at = place(parts.line.length, random);
    const odd = pick(
      ['/', '..', '%', '%00', '%2f', '\\', '?', '#', '\u007f', '\u00e9', ' ', '\t', '@', ':'],
      random,
    );
    parts.line = parts.line.slice(0, at) + odd + parts.line.slice(at);
  },
  version: (parts, random) => {
    parts.line = parts.line.replace(/HTTP\/1\.1$/, pick(VERSIONS, random));
  },
  'field added': (parts, random) => {
    parts.fields.splice(place(parts.fields.length, random), 0, pick(FIELDS, random));
  },
  'field twice': (parts, random) => {
    parts.fields.push(pick(parts.fields, random) ?? '');
  },
  'field removed': (parts, random) => {
    parts.fields.splice(Math.floor(random() * parts.fields.length), 1);
  },
  'fields without end': (parts, random) => {
    const count = pick([90, 400, 2500], random);
    parts.fields.push(...Array.from({ length: count }, (_, index) => `X-Field-${index}: ${index}`));
  },
  'field inside': (parts, random) => {
    const at = Math.floor(random() * parts.fields.length);
    const field = parts.fields[at] ?? '';
    const inside = place(field.length, random);
    parts.fields[at] =
      field.slice(0, inside) + String.fromCharCode(Math.floor(random() * 256)) + field.slice(inside);
  },
  length: (parts, random) => {
    const wrong = pick(LENGTHS, random);
    parts.fields = parts.fields.map((field) =>
      field.replace(/^(Content-Length: )(\d+)$/, (_all, name: string, digits: string) => {
        const length = Number(digits);
        return name + (wrong === '*2' ? length * 2 : /^[+-]/.test(wrong) ? length + Number(wrong) : wrong);
      }),
    );
  },
  'body cut': (parts, random) => {
    parts.body = parts.body.subarray(0, place(parts.body.length, random));
  },
  'body byte': (parts, random) => {
    parts.body = withBytes(parts.body, place(parts.body.length, random), 1, [Math.floor(random() * 256)]);
  },
  'body inserted': (parts, random) => {
    const odd = pick(
      [
        '\u0000',
        '"',
        '}',
        '[',
        '\\u',
        '\r\n',
        '0\r\n\r\n',
        ',"model":"other"',
        ';x',
        'GET /smuggled HTTP/1.1\r\n\r\n',
        '\u00ff',
      ],
      random,
    );
    parts.body = withBytes(parts.body, place(parts.body.length, random), 0, Buffer.from(odd, 'latin1'));
  },
  'body with mark': (parts) => {
    parts.body = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), parts.body]);
  },
  'another request behind': (parts) => {
    parts.body = Buffer.concat([parts.body, Buffer.from('GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')]);
  },
};

/** Mutations of the whole, however it was put together. */
const WHOLE: Readonly<Record<string, (bytes: Buffer, random: Random) => Buffer>> = {
  'a byte': (bytes, random) => withBytes(bytes, place(bytes.length, random), 1, [Math.floor(random() * 256)]),
  'bytes removed': (bytes, random) =>
    withBytes(bytes, place(bytes.length, random), Math.floor(random() * 12), []),
  'bytes repeated': (bytes, random) => {
    const from = place(bytes.length, random);
    const piece = bytes.subarray(from, from + Math.floor(random() * 60));
    return withBytes(bytes, from, 0, piece);
  },
  'LF for CRLF': (bytes) => Buffer.from(bytes.toString('latin1').replaceAll('\r\n', '\n'), 'latin1'),
  'CR for one CRLF': (bytes, random) => {
    const lines = bytes.toString('latin1').split('\r\n');
    const at = place(Math.max(0, lines.length - 2), random);
    return Buffer.from(
      [lines.slice(0, at + 1).join('\r\n'), lines.slice(at + 1).join('\r\n')].join('\r'),
      'latin1',
    );
  },
  'lines before': (bytes, random) =>
    Buffer.concat([Buffer.from(pick(['\r\n', '\r\n\r\n', '\n', ' '], random)), bytes]),
  'the end missing': (bytes, random) => bytes.subarray(0, place(bytes.length, random)),
};

/** One request with one to three mutations of its parts, and sometimes one of the whole, the same for the same random numbers. */
export function mutatedRequest(mark: string, random: Random): MutatedRequest {
  const parts = pick(bases(mark), random);
  const how: string[] = [];
  const count = pick([1, 1, 1, 2, 2, 3], random);
  for (let made = 0; made < count; made++) {
    const name = pick(Object.keys(MUTATIONS), random);
    MUTATIONS[name]?.(parts, random);
    how.push(name);
  }
  let bytes: Buffer = Buffer.concat([
    Buffer.from(`${[parts.line, ...parts.fields].join('\r\n')}\r\n\r\n`, 'latin1'),
    parts.body,
  ]);
  if (random() < 0.3) {
    const name = pick(Object.keys(WHOLE), random);
    bytes = WHOLE[name]?.(bytes, random) ?? bytes;
    how.push(name);
  }
  return { bytes, how };
}

function withBytes(
  bytes: Buffer,
  at: number,
  removed: number,
  added: Uint8Array | readonly number[],
): Buffer {
  return Buffer.concat([
    bytes.subarray(0, at),
    Buffer.from(added as Uint8Array),
    bytes.subarray(at + removed),
  ]);
}
