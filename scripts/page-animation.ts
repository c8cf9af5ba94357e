import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Locator } from 'playwright-core';
import UPNG from 'upng-js';
import { PageStage } from '../test/browser/page-stage.ts';

const MAX_FRAMES = 48;
/** After the end of the stream, so that it can be read. */
const LAST_FRAMES = 5;
const FRAME_MS = 400;
const WIDTH = 640;
/** The page has few colours: a small palette is enough, and a third of the size. */
const COLORS = 40;

/** A strip of a page: its whole width, from the top of an element on. */
interface Strip {
  readonly of: Locator;
  readonly height: number;
}

const REPLY =
  'The ferry leaves at dawn. A new ticket is bought while it crosses, long before the old one is void, and nobody on board is asked to wait.';

/**
 * Writes an animated PNG: a token that runs down and is renewed, and below it a stream that goes on meanwhile, both as the
 * page of a running gateway shows them.
 */
export async function animatePage(file: string): Promise<void> {
  const stage = await PageStage.start({}, { tokenLifeMs: 12_000, wordDelayMs: 450, reply: REPLY });
  try {
    const tokens = await stage.openPage({ width: WIDTH });
    const playground = await stage.openPage({ width: WIDTH });
    await stage.show(tokens, 'tokens');
    await stage.show(playground, 'playground');
    const chat = playground.locator('section[aria-labelledby=play-chat]');
    await chat.getByRole('button', { name: 'Send' }).click();
    await chat.locator('.answer').waitFor();
    const strips: readonly Strip[] = [
      { of: tokens.locator('section.card'), height: 122 },
      { of: chat.locator('.answer'), height: 92 },
    ];
    const height = strips.reduce((sum, strip) => sum + strip.height, 0);
    const frames: ArrayBuffer[] = [];
    const isRunning = chat.getByRole('button', { name: 'Stop' });
    for (let left = MAX_FRAMES; left > 0; left -= 1) {
      if (left > LAST_FRAMES && !(await isRunning.isVisible())) left = LAST_FRAMES;
      const startedMs = performance.now();
      const rgba = new Uint8Array(WIDTH * height * 4);
      let at = 0;
      for (const strip of strips) {
        const part = await pixelsOf(strip);
        rgba.set(part, at);
        at += part.length;
      }
      frames.push(rgba.buffer);
      await sleep(Math.max(0, FRAME_MS - (performance.now() - startedMs)));
    }
    const delays = frames.map(() => FRAME_MS);
    writeFileSync(file, Buffer.from(UPNG.encode(frames, WIDTH, height, COLORS, delays)));
  } finally {
    await stage.close();
  }
}

/** Red, green, blue and opacity of each pixel. */
async function pixelsOf({ of, height }: Strip): Promise<Uint8Array> {
  const box = await of.boundingBox();
  const clip = { x: 0, y: Math.round(box?.y ?? 0) - 6, width: WIDTH, height };
  const png = await of.page().screenshot({ clip });
  const [rgba] = UPNG.toRGBA8(UPNG.decode(new Uint8Array(png).buffer));
  return new Uint8Array(rgba ?? new ArrayBuffer(0));
}
