import { setTimeout as sleep } from 'node:timers/promises';
import { CHAT_MODELS, EMBEDDING_MODEL } from './model.ts';

/** Between two requests: slow enough to read, fast enough that the page moves. */
const PAUSE_MS = { shortest: 1_500, longest: 6_000 };

const QUESTIONS = [
  'Where does the ferry go?',
  'Write a haiku about a river.',
  'Summarise: the ferry crosses the river every ten minutes.',
  'Which token is in use?',
];

/** Requests of a made-up application, so that there is something to see; ends with the signal. */
export async function makeTraffic(url: string, key: string, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await sleep(PAUSE_MS.shortest + Math.random() * (PAUSE_MS.longest - PAUSE_MS.shortest), undefined, {
        signal,
      });
      const [path, body] = Math.random() < 0.2 ? embeddings() : chat();
      const response = await fetch(`${url}/v1/${path}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${key}`,
          'content-type': 'application/json',
          'user-agent': 'tokenferry-demo-traffic',
        },
        body: JSON.stringify(body),
        signal,
      });
      await response.text();
    } catch {
      // The demo stops, or shows by itself what fails.
    }
  }
}

function chat(): [string, object] {
  const content = pick(QUESTIONS);
  return [
    'chat/completions',
    { model: pick(CHAT_MODELS), messages: [{ role: 'user', content }], stream: Math.random() < 0.7 },
  ];
}

function embeddings(): [string, object] {
  return ['embeddings', { model: EMBEDDING_MODEL, input: QUESTIONS }];
}

function pick(items: readonly string[]): string {
  return items[Math.floor(Math.random() * items.length)] ?? '';
}
