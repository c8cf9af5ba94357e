import type { Usage } from '../usage/usage.ts';
import { UsageMeter } from '../usage/usage-meter.ts';
import { distinctNotes } from './assembly/distinct-notes.ts';
import { newCallId, ResponseAssembler } from './assembly/response-assembler.ts';
import type { ResponseIdentity } from './assembly/response-identity.ts';
import type { ResponseSink } from './assembly/response-sink.ts';
import type { ChatResponseOptions } from './response-format.ts';
import { type FrameRelay, ResponseReader } from './response-reader.ts';

/** What differs between the forms in which a reply is told. */
interface ResponseForm {
  readonly sink: ResponseSink;
  readonly identity: ResponseIdentity;
  /** Whether usage that the upstream does not give is estimated, and how. */
  readonly estimate: 'exactly' | 'roughly' | 'no';
  readonly choiceCount: number | undefined;
  /** The longest event, in UTF-16 units. */
  readonly maxEventLength: number;
  /** Sends what is canonical already as it came; absent: everything is assembled. */
  readonly relayOf?: (assembler: ResponseAssembler, meter: UsageMeter) => FrameRelay;
  /** Told all text of the model. */
  readonly onText?: (text: string) => void;
  /** The reply is whole. */
  readonly onComplete: () => void;
}

/** The stages that every reply of a chat upstream passes, whatever clients are told of it. */
export class ResponseStages {
  readonly identity: ResponseIdentity;
  readonly meter: UsageMeter;
  readonly assembler: ResponseAssembler;
  readonly reader: ResponseReader;

  constructor(options: ChatResponseOptions, form: ResponseForm) {
    const { sink, identity, choiceCount, maxEventLength, relayOf, onText, onComplete } = form;
    const onNote = distinctNotes(options.onNote);
    const meter = new UsageMeter(form.estimate, options.promptForEstimate);
    const assembler = new ResponseAssembler({
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
    this.reader = new ResponseReader({
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
