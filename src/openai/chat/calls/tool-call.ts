import type { JsonObject } from '../../../lib/json/json-object.ts';
import { JsonValueScanner } from '../../../lib/json/json-scanner.ts';
import type { ToolFragment } from '../shapes/tool-fragments.ts';
import { CumulativeText } from '../texts/cumulative-text.ts';
import type { CallSoFar } from './tool-call-matching.ts';

/** One tool call between its fragments and what clients are told of it. */
export interface ToolCall extends CallSoFar {
  readonly number: number;
  readonly upstreamIndex: number | null;
  upstreamId: string | null;
  /** Ours; the upstream's while it is unique. */
  id: string;
  name: string | null;
  extensions: JsonObject | null;
  /** Arguments that came and were not told yet; told later because an earlier call is still open. */
  held: string[];
  isOpened: boolean;
  said: string;
  /** The arguments are a JSON string that holds the JSON: told once, when it is complete. */
  isQuoted: boolean;
  isComplete: boolean;
  isNamedAgain: boolean;
  /** The arguments are no JSON, so that they are complete when the upstream says so. */
  readonly isFreeText: boolean;
  scanner: JsonValueScanner;
  readonly cumulative: CumulativeText | null;
}

interface CallBeginning {
  readonly number: number;
  readonly id: string;
  readonly isCumulative: boolean;
  /** The call before it, whose name, if that came once more, is the new one's. */
  readonly named: ToolCall | undefined;
}

/** The call that a fragment begins, without what the fragment says. */
export function beginCall(fragment: ToolFragment, beginning: CallBeginning): ToolCall {
  const { number, id, isCumulative, named } = beginning;
  const inherits = fragment.name === null && named?.isNamedAgain === true;
  return {
    number,
    upstreamIndex: fragment.index,
    upstreamId: fragment.id ?? (inherits ? named.upstreamId : null),
    id,
    name: inherits ? named.name : null,
    extensions: null,
    held: [],
    isOpened: false,
    said: '',
    isQuoted: false,
    isComplete: false,
    isNamedAgain: false,
    isFreeText: fragment.isFreeText,
    scanner: new JsonValueScanner(),
    cumulative: isCumulative ? new CumulativeText() : null,
  };
}
