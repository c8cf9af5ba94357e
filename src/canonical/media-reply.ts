import { readSpeech } from './audio-speech.ts';
import { readTranscript } from './audio-transcript.ts';
import { readImages } from './image-reply.ts';
import type { MediaReading, MediaReply, MediaSource } from './media-wish.ts';

/**
 * A reply in the one form that clients read (S121 to S123, Q161 to Q163). Throws FerryError: the error that it
 * carries, `invalid_response`, `mismatch`.
 */
export function readMediaReply(source: MediaSource, reading: MediaReading): MediaReply {
  switch (reading.wish.kind) {
    case 'transcript':
      return readTranscript(source, reading);
    case 'speech':
      return readSpeech(source, reading);
    case 'images':
      return readImages(source, reading);
  }
}
