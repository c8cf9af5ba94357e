import { isJsonObject, numberFrom } from '../../lib/json/json-object.ts';

interface Cue {
  readonly startSeconds: number;
  readonly endSeconds: number;
  readonly text: string;
}

/** SubRip or WebVTT of segments with times in seconds (`start`, `end`, `text`); null when there are none. */
export function captionsOf(json: unknown, format: 'srt' | 'vtt'): string | null {
  const cues = findCues(json, 4);
  if (cues === null) return null;
  const mark = format === 'srt' ? ',' : '.';
  const blocks = cues.map(({ startSeconds, endSeconds, text }, position) => {
    const number = format === 'srt' ? `${position + 1}\n` : '';
    return `${number}${clock(startSeconds, mark)} --> ${clock(endSeconds, mark)}\n${text.trim()}\n`;
  });
  return `${format === 'vtt' ? 'WEBVTT\n\n' : ''}${blocks.join('\n')}`;
}

function findCues(json: unknown, depth: number): readonly Cue[] | null {
  if (depth === 0 || typeof json !== 'object' || json === null) return null;
  if (Array.isArray(json)) {
    const cues = json.map(readCue);
    return cues.length > 0 && cues.every((cue) => cue !== null) ? cues : null;
  }
  // Words have times as well, but sentences make captions.
  const { words: _words, ...others } = json as Record<string, unknown>;
  for (const member of Object.values(others)) {
    const cues = findCues(member, depth - 1);
    if (cues !== null) return cues;
  }
  return null;
}

function readCue(entry: unknown): Cue | null {
  if (!isJsonObject(entry) || typeof entry.text !== 'string') return null;
  const startSeconds = numberFrom(entry.start);
  const endSeconds = numberFrom(entry.end);
  if (startSeconds === null || endSeconds === null || startSeconds < 0) return null;
  return { startSeconds, endSeconds, text: entry.text };
}

/** `00:01:02,345` */
function clock(seconds: number, mark: string): string {
  const totalMs = Math.round(seconds * 1000);
  const parts = [
    Math.floor(totalMs / 3_600_000),
    Math.floor(totalMs / 60_000) % 60,
    Math.floor(totalMs / 1000) % 60,
  ];
  const whole = parts.map((part) => String(part).padStart(2, '0')).join(':');
  return `${whole}${mark}${String(totalMs % 1000).padStart(3, '0')}`;
}
