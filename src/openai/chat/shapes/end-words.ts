import { isJsonObject } from '../../../lib/json/json-object.ts';

const WORD = '(?:done|end|eof|eos|over|finish(?:ed)?|complete(?:d)?|close(?:d)?|stop(?:ped)?)';
const MARK = new RegExp(`^[\\[<"'(]*${WORD}[\\]>"')]*$`, 'i');
const NAME = new RegExp(`^(?:(?:message|stream|response|chat|answer)[._-]?)?${WORD}(?:_of_stream)?$`, 'i');

const FLAGS = ['done', 'finished', 'is_end', 'isEnd', 'is_finished', 'end', 'completed'];
const NAMING = ['type', 'event', 'status', 'state', 'object'];

/** Whether the data of an event without JSON is an end marker of a server's own: `[END]`, `<eof>`, `finished`. */
export function isEndMark(data: string): boolean {
  const text = data.trim();
  return text.length < 24 && MARK.test(text);
}

/** Whether an event without an answer in it says that the answer is over: by its name, a flag or a type. */
export function saysEnd(value: unknown, name: string | undefined): boolean {
  if (name !== undefined && NAME.test(name)) return true;
  if (!isJsonObject(value)) return false;
  if (FLAGS.some((flag) => value[flag] === true)) return true;
  return NAMING.some((member) => typeof value[member] === 'string' && NAME.test(value[member]));
}
