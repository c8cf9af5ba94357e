import type { ResponseIdentity } from '../assembly/response-identity.ts';
import type { ChoiceExtras, ResponseSink, TextKind } from '../assembly/response-sink.ts';
import type { FinishReason } from '../shapes/finish-reason.ts';
import { ChunkWriter, choiceJson } from './chunk-writer.ts';
import type { FrameBuffer } from './frame-buffer.ts';

/** Writes chunks of `text_completion`: text only, since the form has no place for reasoning and calls. */
export class TextChunkWriter extends ChunkWriter implements ResponseSink {
  constructor(frames: FrameBuffer, identity: ResponseIdentity) {
    super(frames, identity, 'text_completion');
  }

  begin(): void {}

  text(choice: number, kind: TextKind, text: string, extras: ChoiceExtras | null): void {
    if (kind !== 'reasoning') this.write(choiceJson(choice, 'text', text, extras, null));
  }

  callStep(): void {}

  extension(): void {}

  finish(choice: number, reason: FinishReason, extras: ChoiceExtras | null): void {
    this.write(choiceJson(choice, 'text', '', extras, reason === 'tool_calls' ? 'stop' : reason));
  }
}
