import { isJsonObject } from '../../lib/json/json-object.ts';

/** `[DONE]` in every spelling seen: `"[DONE]"`, `DONE`, `[ DONE ]` (Q25). */
const DONE_MARK = /^"?\s*\[?\s*DONE\s*\]?\s*"?$/;

/**
 * End markers of a server's own. Sources: Baidu's `is_end` (Q70), Ollama's `done` (Q69), Anthropic's `message_stop` (Q73). The
 * others are in end-markers.test.ts and have no recorded vendor.
 */
const WORD = '(?:done|end|eof|eos|over|finish(?:ed)?|complete(?:d)?|close(?:d)?|stop(?:ped)?)';
const MARK = new RegExp(`^[\\[<"'(]*${WORD}[\\]>"')]*$`, 'i');
const NAME = new RegExp(`^(?:(?:message|stream|response|chat|answer)[._-]?)?${WORD}(?:_of_stream)?$`, 'i');
const FLAGS = ['done', 'finished', 'is_end', 'isEnd', 'is_finished', 'end', 'completed'];
const NAMING_MEMBERS = ['type', 'event', 'status', 'state', 'object'];

/** Whether a text is `[DONE]`, in any spelling. */
export function isDoneMark(text: string): boolean {
  return text.length < 16 && DONE_MARK.test(text);
}

/** Whether the data of an event without JSON is an end marker of a server's own: `[END]`, `<eof>`, `finished`. */
export function isEndMarker(data: string): boolean {
  const text = data.trim();
  return text.length < 24 && MARK.test(text);
}

/** Whether an event without content ends the response: by its name, a flag or a type. */
export function announcesEnd(value: unknown, name: string | undefined): boolean {
  if (name !== undefined && NAME.test(name)) return true;
  if (!isJsonObject(value)) return false;
  if (FLAGS.some((flag) => value[flag] === true)) return true;
  return NAMING_MEMBERS.some((member) => typeof value[member] === 'string' && NAME.test(value[member]));
}
