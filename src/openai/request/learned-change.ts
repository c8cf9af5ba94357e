/**
 * What an upstream's refusals have taught, in one line of text: it is remembered, named in `x-tokenferry-dropped`, and shown
 * in the log.
 *
 * | Text | What is done |
 * |---|---|
 * | `user` | the parameter is left out |
 * | `reasoning_effort(="minimal")` | it is left out where it has this value |
 * | `max_tokens>max_new_tokens` | it is sent under the other name |
 * | `enable_thinking=false` | it is sent with this value |
 * | `enable_thinking=false (stream:false)` | the same, in requests that are sent without `stream` |
 * | `messages.content.cache_control` | the member of messages, here of their parts, is left out |
 * | `messages.reasoning_content>reasoning` | the member of messages is sent under the other name |
 * | `messages:parts` | a rewrite of `request-rewrites.ts` |
 */
export interface LearnedChange {
  /** A parameter; a member inside of one with dots between the names. */
  readonly name: string;
  /** JSON text: only a parameter with this value is left out; null: with any. */
  readonly onlyValue: string | null;
  readonly renamedTo: string | null;
  /** JSON text of the value that is sent. */
  readonly setTo: string | null;
  /** Null: in all requests, else in those that are sent with this `stream`. */
  readonly onlyStream: boolean | null;
}

const CHANGE =
  /^(?<name>[\w.-]{1,128})(?:\(=(?<value>.{1,128})\)|>(?<to>[\w.-]{1,64})|=(?<json>\S{1,64}))?(?: \(stream:(?<stream>true|false)\))?$/;

/** Null: the text is a rewrite, which has a meaning of its own. */
export function parseChange(text: string): LearnedChange | null {
  const groups = CHANGE.exec(text)?.groups;
  if (groups === undefined) return null;
  const { name = '', value = null, to = null, json = null, stream } = groups;
  return {
    name,
    onlyValue: value,
    renamedTo: to,
    setTo: json,
    onlyStream: stream === undefined ? null : stream === 'true',
  };
}

/** The parameter whose value or members a learned text changes; null for a rewrite. */
export function parameterOf(text: string): string | null {
  const change = parseChange(text);
  return change === null ? null : (change.name.split('.')[0] ?? null);
}
