type Random = () => number;

const pick = <Item>(items: readonly Item[], random: Random): Item =>
  items[Math.floor(random() * items.length)] as Item;

/** Texts that have broken readers of JSON, of lines and of UTF-8. */
const TEXTS = [
  '',
  ' ',
  'a',
  'null',
  '\n\n',
  'data: [DONE]\n\n',
  '\r',
  '\u2028',
  '\u0000',
  '"',
  '\\',
  '⛴',
  '\ud83d',
  '\ufeff',
  '</think>',
  '<think>',
  '__proto__',
  'é'.repeat(300),
];
const NUMBERS = [0, 1, -1, 2, 0.1, 1e300, -1e-300, 4_294_967_296, 9_007_199_254_740_991];
/** Members that the gateway looks at or changes, and some that it never heard of. */
const MEMBERS = [
  'messages',
  'prompt',
  'n',
  'stream_options',
  'tools',
  'tool_choice',
  'functions',
  'function_call',
  'max_tokens',
  'max_completion_tokens',
  'temperature',
  'logprobs',
  'response_format',
  'user',
  'metadata',
  'store',
  'parallel_tool_calls',
  'stop',
  'echo',
  'suffix',
  'constructor',
  'toString',
  'unknown',
  '',
];

/** Any JSON value, not deep. */
function anything(random: Random, depth = 0): unknown {
  const kind = Math.floor(random() * (depth > 3 ? 4 : 6));
  if (kind === 0) return pick([null, true, false], random);
  if (kind === 1) return pick(NUMBERS, random);
  if (kind < 4) return pick(TEXTS, random);
  const count = Math.floor(random() * 4);
  if (kind === 4) return Array.from({ length: count }, () => anything(random, depth + 1));
  return Object.fromEntries(
    Array.from({ length: count }, () => [pick([...MEMBERS, ...TEXTS], random), anything(random, depth + 1)]),
  );
}

/** A value that a real client would send for this member; anything for most. */
function usual(member: string, random: Random): unknown {
  const tool = { type: 'function', function: { name: 'depart', parameters: { type: 'object' } } };
  switch (member) {
    case 'messages':
      return [
        { role: pick(['user', 'system', 'assistant', 'developer'], random), content: anything(random, 3) },
      ];
    case 'n':
      return pick([1, 2, 3], random);
    case 'stream_options':
      return pick(
        [{ include_usage: true }, { include_usage: false }, {}, { include_usage: true, other: 1 }],
        random,
      );
    case 'tools':
      return [tool];
    case 'functions':
      return [tool.function];
    case 'prompt':
      return pick(TEXTS, random);
    default:
      return anything(random);
  }
}

/** A request for a stream, as JSON: half of its members as clients send them, half anything. */
export function generatedRequest(random: Random): Record<string, unknown> {
  const body: Record<string, unknown> = {
    model: pick(['any', 'org/any:latest', ' x ', '⛴', '"', 'data: '], random),
  };
  const count = Math.floor(random() * 9);
  for (let made = 0; made < count; made++) {
    const member = pick(MEMBERS, random);
    body[member] = random() < 0.5 ? usual(member, random) : anything(random);
  }
  body.stream = true;
  return body;
}

/** The bytes of a text in random pieces, also within a character and within a line end. */
export function inPieces(text: string, random: Random): Buffer[] {
  const bytes = Buffer.from(text);
  const pieces: Buffer[] = [];
  const longest = pick([1, 7, 60, 5000], random);
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + Math.floor(random() * longest);
    pieces.push(bytes.subarray(at, end));
    at = end;
  }
  return pieces;
}
