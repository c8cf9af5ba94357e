import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { LoopbackServer } from '../helpers/loopback-server.ts';

/** How one model answers: what stands under each way of asking. */
export interface MediaHabit {
  readonly body: string | Buffer;
  /** Null: no content-type. */
  readonly type?: string | null;
  readonly status?: number;
}

export const TEXT = 'The ferry leaves at nine, 你好.';
export const SOUND = Buffer.concat([Buffer.from('ID3\x04\x00\x00'), Buffer.alloc(200_000, 0xfb)]);
export const PICTURE = Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.alloc(300, 9)]).toString(
  'base64',
);
export const ADDRESS = 'https://images.example.com/a.png';

const SEGMENTS = [
  { id: 0, start: 0, end: 1, text: ' The ferry leaves at nine,' },
  { id: 1, start: 1, end: 2, text: ' 你好.' },
];
const json = (value: unknown): MediaHabit => ({ body: JSON.stringify(value), type: 'application/json' });

/** By model; each name is one habit of upstreams. */
export const HABITS: Readonly<Record<string, MediaHabit>> = {
  'hear-canonical': json({ text: TEXT }),
  'hear-plain': { body: TEXT, type: 'text/plain; charset=utf-8' },
  'hear-untyped': { body: JSON.stringify({ text: TEXT }), type: null },
  'hear-result': json({ code: 0, result: TEXT }),
  'hear-envelope': json({ code: 0, msg: 'success', data: { text: TEXT } }),
  'hear-segments': json({ language: 'en', duration: 2, segments: SEGMENTS }),
  'hear-silence': json({ text: '' }),
  'speak-canonical': { body: SOUND, type: 'audio/mpeg' },
  'speak-untyped': { body: SOUND, type: null },
  'speak-mistyped': { body: SOUND, type: 'application/json' },
  'speak-base64': json({ audio: SOUND.toString('base64') }),
  'speak-hex': json({ data: { audio: SOUND.toString('hex'), status: 2 }, base_resp: { status_code: 0 } }),
  'speak-uri': json({ data: { audio: `data:audio/mpeg;base64,${SOUND.toString('base64')}` } }),
  'speak-address': json({ audio: ADDRESS }),
  'speak-error': json({ error: { message: 'voice "alloy" is unknown', code: 400 } }),
  'draw-canonical': json({ created: 1_763_000_000, data: [{ b64_json: PICTURE }] }),
  'draw-image': json({ image: PICTURE }),
  'draw-images': json({ images: [{ b64: PICTURE }] }),
  'draw-uri': json({ created: 1, data: [{ url: `data:image/png;base64,${PICTURE}` }] }),
  'draw-address': json({ data: [{ url: ADDRESS }] }),
  'draw-error': json({ error: { message: 'the prompt is refused', code: 400 } }),
};

export interface SeenForm {
  readonly fields: Readonly<Record<string, string>>;
  readonly fileName: string;
  readonly fileBytes: Buffer;
  readonly contentLength: string | undefined;
}

/** An upstream for sounds and pictures whose `model` decides how it answers. */
export class MediaUpstream extends LoopbackServer {
  readonly #isLive: (token: string) => boolean;
  /** Forms it was sent, oldest first. */
  readonly forms: SeenForm[] = [];

  private constructor(isLive: (token: string) => boolean) {
    super(createServer());
    this.#isLive = isLive;
    this.server.on('request', (request, response) => void this.#serve(request, response));
  }

  static start(isLive: (token: string) => boolean): Promise<MediaUpstream> {
    return new MediaUpstream(isLive).listening();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const bytes = await buffer(request);
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    const model = this.#isLive(token) ? await this.#modelOf(request, bytes) : null;
    const habit = HABITS[model ?? ''];
    const {
      body,
      type,
      status = 200,
    } = habit ?? { ...json({ detail: `no ${model}` }), status: model === null ? 401 : 404 };
    response.writeHead(status, type === null || type === undefined ? {} : { 'content-type': type });
    response.end(body);
  }

  async #modelOf(request: IncomingMessage, bytes: Buffer): Promise<string> {
    const type = request.headers['content-type'] ?? '';
    if (!type.startsWith('multipart/')) return (JSON.parse(bytes.toString()) as { model: string }).model;
    const form = await new Response(bytes, { headers: { 'content-type': type } }).formData();
    const file = form.get('file') as File;
    const fields = Object.fromEntries([...form].filter(([, value]) => typeof value === 'string')) as Record<
      string,
      string
    >;
    const fileBytes = Buffer.from(await file.arrayBuffer());
    this.forms.push({
      fields,
      fileName: file.name,
      fileBytes,
      contentLength: request.headers['content-length'],
    });
    return fields.model ?? '';
  }
}
