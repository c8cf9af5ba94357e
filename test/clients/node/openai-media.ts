/** `audio` and `images` of the openai package: silence, speech as bytes, images. */
import { createHash } from 'node:crypto';
import type { Reading, Task } from '../protocol.ts';
import { clientOf, toFile } from './openai-package.ts';
import { runProgram } from './program.ts';

const RATE = 16_000;

/** A WAV of 16-bit mono zeros. */
function silence(seconds: number): Buffer {
  const samples = Buffer.alloc(RATE * seconds * 2);
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples.length, 4);
  head.write('WAVEfmt ', 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(RATE, 24);
  head.writeUInt32LE(RATE * 2, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write('data', 36);
  head.writeUInt32LE(samples.length, 40);
  return Buffer.concat([head, samples]);
}

interface Wishes {
  readonly seconds?: number;
  readonly isFileLast?: boolean;
  readonly format?: 'text' | 'verbose_json';
}

async function transcribe(task: Task, reading: Reading, wishes: Wishes = {}): Promise<void> {
  const file = await toFile(silence(wishes.seconds ?? 0.5), 'Stille Grüße 你好.wav', { type: 'audio/wav' });
  const others = { model: task.model, prompt: 'é', temperature: 0 };
  const format = wishes.format === undefined ? {} : { response_format: wishes.format };
  // The package writes the fields in the order in which it is given them.
  const request = wishes.isFileLast ? { ...others, ...format, file } : { file, ...others, ...format };
  const reply: unknown = await clientOf(task).audio.transcriptions.create(
    request as { file: typeof file; model: string },
  );
  reading.text = typeof reply === 'string' ? reply : (reply as { text: string }).text;
}

async function speak(task: Task, reading: Reading): Promise<void> {
  const response = await clientOf(task).audio.speech.create({
    model: task.model,
    input: 'Hello~ RAGFlower!',
    voice: 'alloy',
  });
  const hash = createHash('sha256');
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) hash.update(piece);
  reading.value = [response.headers.get('content-type'), hash.digest('hex')];
}

async function draw(task: Task, reading: Reading, format?: 'b64_json' | 'url'): Promise<void> {
  const wish = format === undefined ? {} : { response_format: format };
  const reply = await clientOf(task).images.generate({ model: task.model, prompt: 'a ferry', ...wish });
  if (!Number.isInteger(reply.created)) throw new Error(`created is ${reply.created}`);
  reading.value = reply.data?.map((image) => [image.b64_json ?? null, image.url ?? null]);
}

await runProgram({
  transcribe,
  'transcribe-file-last': (task, reading) => transcribe(task, reading, { isFileLast: true }),
  'transcribe-long': (task, reading) => transcribe(task, reading, { seconds: 300, isFileLast: true }),
  'transcribe-text': (task, reading) => transcribe(task, reading, { format: 'text' }),
  'transcribe-verbose': (task, reading) => transcribe(task, reading, { format: 'verbose_json' }),
  speak,
  draw,
  'draw-b64': (task, reading) => draw(task, reading, 'b64_json'),
  'draw-url': (task, reading) => draw(task, reading, 'url'),
});
