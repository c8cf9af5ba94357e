import { isJsonObject, type JsonObject } from '../../../lib/json/json-object.ts';
import { readElements, readMembers } from '../../../lib/json/json-scanner.ts';

/**
 * Most servers leave `logprobs` and `refusal` out of a whole reply when there are none; clients that check types
 * want the null (S28, S29). Puts them into the parsed `reply`, and gives its text with them
 * spliced in, everything else byte for byte. The text is given back as it is when nothing was absent.
 */
export function withAbsentNulls(reply: JsonObject, text: string, endpoint: 'chat' | 'completions'): string {
  if (!Array.isArray(reply.choices)) return text;
  const fills: { readonly choice: number; readonly isInMessage: boolean; readonly text: string }[] = [];
  for (const [index, choice] of reply.choices.entries()) {
    if (!isMutableObject(choice)) continue;
    if (choice.logprobs === undefined) {
      choice.logprobs = null;
      fills.push({ choice: index, isInMessage: false, text: '"logprobs":null,' });
    }
    if (endpoint === 'chat' && isMutableObject(choice.message) && choice.message.refusal === undefined) {
      choice.message.refusal = null;
      fills.push({ choice: index, isInMessage: true, text: '"refusal":null,' });
    }
  }
  if (fills.length === 0) return text;
  const places = placesIn(text);
  let filled = text;
  // From the end to the start, so that the places before stay right; a message stands inside its choice.
  for (const fill of fills.toSorted(
    (left, right) => right.choice - left.choice || Number(right.isInMessage) - Number(left.isInMessage),
  )) {
    const place = places[fill.choice];
    const at = fill.isInMessage ? place?.inMessage : place?.inChoice;
    if (at !== undefined) filled = filled.slice(0, at) + fill.text + filled.slice(at);
  }
  return filled;
}

/** The parsed reply is ours alone until it is handed on, so that it may be written to. */
function isMutableObject(value: unknown): value is Record<string, unknown> {
  return isJsonObject(value);
}

interface Places {
  /** Behind the opening brace of the choice, and of its message. */
  readonly inChoice: number;
  readonly inMessage: number | undefined;
}

function placesIn(text: string): Places[] {
  const choices = readMembers(text).findLast((member) => member.key === 'choices');
  if (choices === undefined) return [];
  return readElements(text, choices.valueStart).map(({ start }) => {
    const message = readMembers(text, start).findLast((member) => member.key === 'message');
    return { inChoice: start + 1, inMessage: message === undefined ? undefined : message.valueStart + 1 };
  });
}
