import type { Usage } from '../../usage/usage.ts';
import { UsageMeter } from '../../usage/usage-meter.ts';
import { distinctNotes } from './distinct-notes.ts';
import { newCallId, ReplyAssembler } from './reply-assembler.ts';
import type { ReplyIdentity } from './reply-identity.ts';
import { type FrameRelay, ReplyReader } from './reply-reader.ts';
import type { ReplySink } from './reply-sink.ts';
import type { ChatReplyOptions } from './response-options.ts';

/** What differs between the forms in which a reply is told. */
interface ReplyForm {
  readonly sink: ReplySink;
  readonly identity: ReplyIdentity;
  /** Whether usage that the upstream does not give is estimated, and how. */
  readonly estimate: 'exactly' | 'roughly' | 'no';
  readonly choiceCount: number | undefined;
  /** The longest event, in UTF-16 units. */
  readonly maxEventLength: number;
  /** Sends what is canonical already as it came; absent: everything is assembled. */
  readonly relayOf?: (assembler: ReplyAssembler, meter: UsageMeter) => FrameRelay;
  /** Told all text of the model. */
  readonly onText?: (text: string) => void;
  /** The reply is whole. */
  readonly onComplete: () => void;
}

/** The stages that every reply of a chat upstream passes, whatever clients are told of it. */
export class ReplyStages {
  readonly identity: ReplyIdentity;
  readonly meter: UsageMeter;
  readonly assembler: ReplyAssembler;
  readonly reader: ReplyReader;

  constructor(options: ChatReplyOptions, form: ReplyForm) {
    const { sink, identity, choiceCount, maxEventLength, relayOf, onText, onComplete } = form;
    const onNote = distinctNotes(options.onNote);
    const meter = new UsageMeter(form.estimate, options.promptForEstimate);
    const assembler = new ReplyAssembler({
      sink,
      identity,
      splitsThinkTags: options.profile.thinkTags === 'split',
      isCumulative: options.profile.cumulative === 'always',
      choiceCount,
      newCallId,
      onNote,
      onText: (text) => {
        meter.note(text);
        onText?.(text);
      },
      scrub: options.scrub,
    });
    this.identity = identity;
    this.meter = meter;
    this.assembler = assembler;
    this.reader = new ReplyReader({
      ...options,
      maxEventLength,
      onNote,
      assembler,
      meter,
      relay: relayOf?.(assembler, meter) ?? null,
      onComplete,
    });
  }

  /** The usage of a reply that ends before its time: as reported, else estimated when wanted. */
  settleUsage(): Usage | null {
    this.meter.close();
    return this.meter.usage;
  }
}
