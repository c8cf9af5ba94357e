import type { AnswerName } from './answers.ts';
import { ANSWERS } from './answers.ts';
import type { FaultVector, Vector } from './vector.ts';
import { CHUNKS } from './vectors/chunks.ts';
import { FAULTS } from './vectors/faults.ts';
import { FRAMING } from './vectors/framing.ts';
import { REASONING_AND_USAGE } from './vectors/reasoning-and-usage.ts';
import { TOOL_CALLS } from './vectors/tool-calls.ts';
import { WHOLE } from './vectors/whole.ts';

/** The well-behaved upstream, one vector an answer. Its name is `canonical-` and the answer's. */
const CANONICAL: readonly Vector[] = (Object.keys(ANSWERS) as AnswerName[]).map((answer) => ({
  name: `canonical-${answer}`,
  quirks: [],
  answer,
}));

/** An upstream that answers a stream with one JSON body (Q34): the whole reply is what `stream` gets too. */
const JSON_FOR_STREAM: readonly Vector[] = (['text', 'reasoning', 'calls'] as const).map((answer) => ({
  name: `json-for-stream-${answer}`,
  quirks: ['Q34'],
  answer,
  text: (_chunks, _ask, whole) => JSON.stringify(whole),
  contentType: 'application/json',
}));

/** An upstream that does not stream, and says so. */
const NO_STREAMS: readonly Vector[] = (['text', 'reasoning', 'calls'] as const).map((answer) => ({
  name: `refuses-streams-${answer}`,
  quirks: ['Q34'],
  answer,
  only: 'wholes',
}));

/** What upstreams send for `stream: true`. */
export const STREAM_VECTORS: readonly Vector[] = [
  ...CANONICAL,
  ...JSON_FOR_STREAM,
  ...NO_STREAMS,
  ...FRAMING,
  ...CHUNKS,
  ...REASONING_AND_USAGE,
  ...TOOL_CALLS,
];

/** What upstreams send without `stream`. */
export const WHOLE_VECTORS: readonly Vector[] = [...CANONICAL, ...WHOLE];

/** What goes wrong, and what every client must be told. */
export const FAULT_VECTORS: readonly FaultVector[] = FAULTS;
