import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FerryError } from '../../../src/lib/errors/ferry-error.ts';
import { readMembers } from '../../../src/lib/json/json-scanner.ts';
import { type ParsedRequest, parseRequest } from '../../../src/openai/request/parsed-request.ts';
import { adaptRequest } from '../../../src/openai/request/request-adaptation.ts';
import { cpuMsSince } from '../../helpers/cpu-time.ts';
import { DEFAULT_PROFILE } from '../../helpers/default-profile.ts';
import { randomFrom } from '../../helpers/seeded-random.ts';

function read(text: string | Buffer, kind: ParsedRequest['kind'] = 'chat'): ParsedRequest {
  return parseRequest(Buffer.from(text as string), kind);
}

function refusal(text: string | Buffer): FerryError {
  try {
    read(text);
  } catch (error) {
    assert.ok(error instanceof FerryError, String(error));
    return error;
  }
  return assert.fail(`accepted: ${text}`);
}

interface Options {
  upstreamModel?: string;
  wantUsage?: boolean;
  forceStream?: boolean;
  learnedDrops?: string[];
  profile?: Partial<typeof DEFAULT_PROFILE>;
  kind?: ParsedRequest['kind'];
}

function adapt(
  text: string,
  options: Options = {},
): { text: string; dropped: readonly string[]; stream: boolean } {
  const request = read(text, options.kind);
  const { profile, kind: _kind, ...rest } = options;
  const adapted = adaptRequest(request, {
    upstreamModel: request.model,
    wantUsage: false,
    learnedDrops: [],
    forceStream: false,
    ...rest,
    profile: { ...DEFAULT_PROFILE, ...profile },
  });
  return { text: adapted.body.toString(), dropped: adapted.dropped, stream: adapted.stream };
}

test('a request is parsed with the facts that routing needs', () => {
  const request = read(
    '{"model":"m","stream":true,"stream_options":{"include_usage":true},"tools":[{}],"messages":[]}',
  );
  assert.equal(request.model, 'm');
  assert.equal(request.stream, true);
  assert.equal(request.includeUsage, true);
  assert.equal(request.hasTools, true);
  assert.equal(request.usesLegacyFunctions, false);
});

test('S18 a byte order mark in front of the body is tolerated and not sent on', () => {
  const request = read('\ufeff{"model":"m"}');
  assert.equal(request.model, 'm');
  assert.equal(request.body.toString(), '{"model":"m"}');
});

test('S20 malformed JSON is a 400 with the position, without quoting the body', () => {
  const cases: [string, RegExp][] = [
    ['{"model":"secret",\n  "x": tru}', /line 2, column 8/],
    ['{"model":"m"', /ends too early, at line 1, column 13/],
    ['{"model":"m"} x', /line 1, column 15/],
    ["{'model':'m'}", /line 1, column 2/],
    ['{"a":"\n"}', /line 1, column 7/],
    ['{"a":"\\x"}', /line 1, column 7/],
    ['[1,]', /line 1, column 4/],
    ['{"a":01}', /line 1, column 7/],
    ['', /is empty/],
    ['  \n', /is empty/],
  ];
  for (const [text, expected] of cases) {
    const error = refusal(text);
    assert.equal(error.kind, 'invalid_json', text);
    assert.equal(error.status, 400);
    assert.match(error.message, expected, text);
    assert.doesNotMatch(error.message, /secret/);
  }
});

test('S20 JSON that is no object is a 400', () => {
  for (const text of ['[]', '"x"', 'null', '1', 'true']) {
    assert.equal(refusal(text).kind, 'invalid_request', text);
  }
});

test('a missing, empty, null or non-string model is named as such', () => {
  for (const model of ['', ',"model":null', ',"model":""', ',"model":" "', ',"model":7', ',"model":["m"]']) {
    const error = refusal(`{"messages":[]${model}}`);
    assert.equal(error.code, 'missing_model');
    assert.equal(error.param, 'model');
  }
});

test('invalid UTF-8 is refused', () => {
  assert.equal(refusal(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])).kind, 'invalid_json');
  assert.equal(refusal(Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])).kind, 'invalid_json');
});

test('__proto__ and constructor as keys are harmless', () => {
  const request = read('{"__proto__":{"model":"evil","stream":true},"constructor":1,"model":"m"}');
  assert.equal(request.model, 'm');
  assert.equal(request.stream, false);
  assert.equal(refusal('{"__proto__":{"model":"evil"}}').kind, 'missing_model');
  assert.equal(adapt('{"model":"m","constructor":1}', { learnedDrops: ['toString'] }).dropped.length, 0);
});

test('a key with a meaning may not occur twice, in any spelling', () => {
  for (const text of [
    '{"model":"a","model":"b"}',
    '{"model":"a","\\u006dodel":"b"}',
    '{"model":"a","stream":true,"stream":false}',
    '{"model":"a","messages":[],"messages":[]}',
    '{"model":"a","input":"x","input":"y"}',
    '{"model":"a","documents":[],"x":{},"documents" :[1]}',
  ]) {
    const error = refusal(text);
    assert.equal(error.kind, 'invalid_request', text);
    assert.match(error.message, /twice/);
  }
});

test('the same keys inside of messages and values are no duplicates', () => {
  read(
    '{"model":"m","messages":[{"role":"user","content":"\\"model\\" \\u00e9","model":1}],"x":{"model":2}}',
  );
  read('{"model":"model","metadata":{"stream":"stream"},"stream":true}');
});

test('nesting of 100000 levels is refused, 200 levels are not', () => {
  const nested = (levels: number): string =>
    `{"model":"m","x":${'['.repeat(levels)}${']'.repeat(levels)}, "pad":"${'x'.repeat(600)}"}`;
  assert.match(refusal(nested(100_000)).message, /256 levels of nesting/);
  assert.match(refusal(`{"model":"m","x":${'{"a":'.repeat(9000)}1${'}'.repeat(9000)}}`).message, /nesting/);
  read(nested(200));
});

test('a body of millions of tiny objects is refused before it is parsed', () => {
  const began = process.cpuUsage();
  assert.match(refusal(`{"model":"m","x":[${'{},'.repeat(5_000_000)}1]}`).message, /arrays and objects/);
  assert.match(refusal('['.repeat(10_000_000)).message, /levels of nesting/);
  assert.ok(cpuMsSince(began) < 2000);
});

/** `count` pieces of JSON with commas between them. */
function listed(count: number, piece: (position: number) => string): string {
  return Array.from({ length: count }, (_, position) => piece(position)).join();
}

test('a body of millions of keys, texts or numbers is refused before it is parsed', () => {
  const millions = 2_000_000;
  const keys = listed(millions, (position) => `"${position}":0`);
  for (const [text, expected] of [
    [`{"model":"m",${keys}}`, /more than 10000 keys at its top level/],
    [`{"model":"m",${'"same":0,'.repeat(millions)}"x":1}`, /more than 10000 keys at its top level/],
    [`{"model":"m",${listed(millions, (at) => `"\\u0041${at}":0`)}}`, /more than 10000 keys/],
    [`{"model":"m","x":{${keys}}}`, /more than 1000000 texts and keys/],
    [`{"model":"m","x":[${listed(millions, (at) => `{"${at}":0}`)}]}`, /more than 1000000/],
    [`{"model":"m","input":[${listed(millions, (at) => `"${at}"`)}]}`, /more than 1000000 texts and keys/],
    [`{"model":"m","input":[${'"",'.repeat(millions)}""]}`, /more than 1000000 texts and keys/],
    [`{"model":"m","input":[${'1,'.repeat(16_000_000)}1]}`, /more than 4000000 values/],
    [`{"model":"m","input":[[${'1.5,'.repeat(8_000_000)}1],[null]]}`, /more than 4000000 values/],
  ] as const) {
    const body = Buffer.from(text);
    const began = process.cpuUsage();
    const error = refusal(body);
    const tookMs = cpuMsSince(began);
    assert.equal(error.kind, 'invalid_request');
    assert.match(error.message, expected, text.slice(0, 40));
    assert.ok(tookMs < 1_500, `${text.slice(0, 40)} took ${tookMs} ms`);
  }
});

test('large real requests are accepted: strings, token ids, keys of a schema, commas and quotes in a string', () => {
  const ids = `[${'100256,'.repeat(1_499)}1]`;
  for (const text of [
    `{"model":"m","input":[${'"a",'.repeat(900_000)}"a"]}`,
    `{"model":"m","input":[${`${ids},`.repeat(2_047)}${ids}]}`,
    `{"model":"m","x":{${listed(200_000, (at) => `"${at}":-100`)}}}`,
    `{"model":"m","input":"${',\\"'.repeat(5_000_000)}"}`,
  ])
    assert.equal(read(text).model, 'm');
});

test('an error far behind is reported as such, within milliseconds', () => {
  const began = process.cpuUsage();
  assert.match(refusal(`{"model":"${'\\n'.repeat(2_000_000)}", x}`).message, /after position 1048576/);
  assert.ok(cpuMsSince(began) < 1000);
});

test('S79 legacy functions are recognised', () => {
  assert.equal(read('{"model":"m","functions":[{"name":"f"}]}').usesLegacyFunctions, true);
  assert.equal(read('{"model":"m","function_call":null}').usesLegacyFunctions, false);
});

test('promise 5 a request without adaptation is sent as the same bytes', () => {
  const text = ' { "model":"m", "seed":12345678901234567890, "temperature":1.0,\n"x":"\\u00e9\\/" } ';
  const request = read(text);
  const adapted = adaptRequest(request, {
    upstreamModel: 'm',
    profile: DEFAULT_PROFILE,
    wantUsage: true,
    learnedDrops: ['user'],
    forceStream: false,
  });
  assert.equal(adapted.body, request.body);
});

test('an alias changes the model and no other byte', () => {
  const { text } = adapt(' { "seed":12345678901234567890,"model" :"m", "t":1.0 }', {
    upstreamModel: 'gpt "x"',
  });
  assert.equal(text, ' { "seed":12345678901234567890,"model" :"gpt \\"x\\"", "t":1.0 }');
});

test('S57 include_usage is added where it is needed, beside other stream options', () => {
  const wanted = { wantUsage: true };
  assert.equal(
    adapt('{"model":"m","stream":true}', wanted).text,
    '{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
  );
  assert.equal(
    adapt('{"model":"m","stream":true,"stream_options":{"x":1.0}}', wanted).text,
    '{"model":"m","stream":true,"stream_options":{"x":1.0,"include_usage":true}}',
  );
  assert.equal(
    adapt('{"model":"m","stream":true,"stream_options":{"include_usage":false}}', wanted).text,
    '{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
  );
  assert.equal(
    adapt('{"model":"m","stream":true,"stream_options":null}', wanted).text,
    '{"model":"m","stream":true,"stream_options":{"include_usage":true}}',
  );
  assert.equal(adapt('{"model":"m"}', wanted).text, '{"model":"m"}');
});

test('S57 an upstream that refused stream_options is not sent any', () => {
  const text = '{"model":"m","stream":true,"stream_options":{"include_usage":true}}';
  const { text: sent, dropped } = adapt(text, { wantUsage: true, learnedDrops: ['stream_options'] });
  assert.equal(sent, '{"model":"m","stream":true}');
  assert.deepEqual(dropped, ['stream_options']);
  assert.equal(
    adapt('{"model":"m","stream":true}', { wantUsage: true, learnedDrops: ['stream_options'] }).text,
    '{"model":"m","stream":true}',
  );
});

test('S105 stream_options without stream is removed', () => {
  for (const stream of ['', '"stream":false,', '"stream":null,']) {
    const { text, dropped } = adapt(`{${stream}"stream_options":{"include_usage":true},"model":"m"}`);
    assert.equal(text, `{${stream}"model":"m"}`);
    assert.deepEqual(dropped, []);
  }
});

test('S80 tool_choice without tools is removed, with tools it stays', () => {
  assert.equal(adapt('{"model":"m","tool_choice":"auto"}').text, '{"model":"m"}');
  assert.equal(adapt('{"model":"m","tools":[],"tool_choice":"auto"}').text, '{"model":"m"}');
  const withTools = '{"model":"m","tools":[{}],"tool_choice":"auto"}';
  assert.equal(adapt(withTools).text, withTools);
  assert.equal(adapt(withTools, { profile: { dropParams: ['tools'] } }).text, '{"model":"m"}');
});

test('S80 S104 parameters about tools are removed where there are none, and so are empty lists', () => {
  const empty = '{"model":"m","stop":[],"tools":[],"functions":[],"parallel_tool_calls":true,"seed":1.0}';
  const { text, dropped } = adapt(empty);
  assert.equal(text, '{"model":"m","seed":1.0}');
  assert.deepEqual(dropped, []);
  const full = '{"model":"m","stop":["a"],"tools":[{}],"parallel_tool_calls":true}';
  assert.equal(adapt(full).text, full);
  const one = '{"model":"m","stop":"a","response_format":{"type":"json_object"},"metadata":{},"user":"u"}';
  assert.equal(adapt(one).text, one);
  assert.equal(
    adapt('{"model":"m","prompt":"a","stop":[]}', { kind: 'completions' }).text,
    '{"model":"m","prompt":"a"}',
  );
  assert.equal(
    adapt('{"model":"m","input":"a","stop":[]}', { kind: 'embeddings' }).text,
    '{"model":"m","input":"a","stop":[]}',
  );
});

test('S80 nulls where the API allows none are removed, other nulls stay', () => {
  assert.equal(
    adapt('{"model":"m","tools":null,"tool_choice":null,"temperature":null,"stop":null,"user":null}').text,
    '{"model":"m","temperature":null,"stop":null}',
  );
});

test('S98 both limits are sent unchanged, and the newer one wins when the profile renames', () => {
  const both = '{"max_tokens":5,"model":"m","max_completion_tokens":16}';
  assert.equal(adapt(both).text, both);
  const older = { profile: { renameParams: { max_completion_tokens: 'max_tokens' } } };
  assert.equal(adapt(both, older).text, '{"model":"m","max_tokens":16}');
  const newer = { profile: { renameParams: { max_tokens: 'max_completion_tokens' } } };
  assert.equal(adapt(both, newer).text, '{"model":"m","max_completion_tokens":16}');
  assert.equal(adapt('{"max_tokens":5,"model":"m"}', newer).text, '{"max_completion_tokens":5,"model":"m"}');
});

test('Q146 a refused max_tokens is sent as max_completion_tokens, and the other way round', () => {
  assert.equal(
    adapt('{"model":"m","max_tokens":5}', { learnedDrops: ['max_tokens'] }).text,
    '{"model":"m","max_completion_tokens":5}',
  );
  assert.equal(
    adapt('{"model":"m","max_completion_tokens":5}', { learnedDrops: ['max_completion_tokens'] }).text,
    '{"model":"m","max_tokens":5}',
  );
  const both = { learnedDrops: ['max_tokens', 'max_completion_tokens'] };
  assert.equal(adapt('{"model":"m","max_tokens":5}', both).text, '{"model":"m","max_tokens":5}');
});

test('Q145 learned and configured parameters are dropped and named; messages and tools never by learning', () => {
  const text = '{"model":"m","messages":[],"do_sample":true,"user":"u","tools":[{}]}';
  const learnedDrops = ['do_sample', 'messages', 'tools', 'absent'];
  const { text: sent, dropped } = adapt(text, { learnedDrops, profile: { dropParams: ['user'] } });
  assert.equal(sent, '{"model":"m","messages":[],"tools":[{}]}');
  assert.deepEqual(dropped, ['user', 'do_sample']);
});

test('logprobs take top_logprobs along', () => {
  const { text, dropped } = adapt('{"model":"m","logprobs":true,"top_logprobs":3}', {
    learnedDrops: ['logprobs'],
  });
  assert.equal(text, '{"model":"m"}');
  assert.deepEqual(dropped, ['logprobs', 'top_logprobs']);
});

test('S101 roles are renamed by the profile inside messages, the rest is unchanged', () => {
  const messages = '[ {"role":"developer","content":"developer 1.0"} , {"content":"x","role": "user"}]';
  assert.equal(
    adapt(`{"model":"m","messages":${messages}}`, { profile: { roles: { developer: 'system' } } }).text,
    `{"model":"m","messages":${messages.replace('"developer",', '"system",')}}`,
  );
});

test('S98 a null limit does not beat a number', () => {
  const older = { profile: { renameParams: { max_completion_tokens: 'max_tokens' } } };
  assert.equal(
    adapt('{"model":"m","max_tokens":5,"max_completion_tokens":null}', older).text,
    '{"model":"m","max_tokens":5}',
  );
  const newer = { profile: { renameParams: { max_tokens: 'max_completion_tokens' } } };
  assert.equal(
    adapt('{"model":"m","max_tokens":5,"max_completion_tokens":null}', newer).text,
    '{"model":"m","max_completion_tokens":5}',
  );
});

test('S107 a prompt becomes a chat for an upstream that only has chat, its text byte for byte', () => {
  const viaChat = { kind: 'completions', profile: { completions: 'via_chat' } } as const;
  const wrapped = (prompt: string): string =>
    `{"model":"m", "messages": [{"role":"user","content":${prompt}}],"max_tokens":1.0}`;
  for (const [prompt, content] of [
    ['"a\\u00e9\\n"', '"a\\u00e9\\n"'],
    ['["only"]', '"only"'],
  ] as const) {
    assert.equal(
      adapt(`{"model":"m", "prompt": ${prompt},"max_tokens":1.0}`, viaChat).text,
      wrapped(content),
    );
  }
  const request = read(
    '{"model":"m","prompt":"a","echo":false,"suffix":null,"best_of":1,"logprobs":2}',
    'completions',
  );
  const adapted = adaptRequest(request, {
    upstreamModel: 'm',
    profile: { ...DEFAULT_PROFILE, completions: 'via_chat' },
    wantUsage: false,
    learnedDrops: [],
    forceStream: false,
  });
  assert.equal(adapted.body.toString(), '{"model":"m","messages":[{"role":"user","content":"a"}]}');
  assert.equal(adapted.endpoint, 'chat');
  assert.deepEqual(adapted.dropped, ['logprobs']);
});

test('S107 what a chat cannot do is a 400 that names it', () => {
  const viaChat = { kind: 'completions', profile: { completions: 'via_chat' } } as const;
  for (const [body, param] of [
    ['"prompt":"a","suffix":"b"', 'suffix'],
    ['"prompt":"a","echo":true', 'echo'],
    ['"prompt":"a","best_of":3', 'best_of'],
    ['"prompt":[1,2]', 'prompt'],
    ['"prompt":["a","b"]', 'prompt'],
    ['"x":1', 'prompt'],
  ] as const) {
    assert.throws(
      () => adapt(`{"model":"m",${body}}`, viaChat),
      (error: unknown) => error instanceof FerryError && error.status === 400 && error.param === param,
    );
  }
  const native = '{"model":"m","prompt":["a","b"],"echo":true}';
  assert.equal(adapt(native, { kind: 'completions' }).text, native);
});

test('S78 index in the tool calls of the history is removed', () => {
  const call = (index: string): string =>
    `{${index}"id":"c","type":"function","function":{"name":"f","index":1.0}}`;
  const body = (index: string): string =>
    `{"model":"m","messages":[{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[${call(index)}, ${call(index)}]}]}`;
  assert.equal(adapt(body('"index":0, ')).text, body(''));
  assert.equal(adapt(body('')).text, body(''));
});

test('S78 reasoning in the history is dropped by the profile', () => {
  const text = '{"model":"m","messages":[{"role":"assistant","content":"a","reasoning_content":"r"}]}';
  assert.equal(adapt(text).text, text);
  assert.equal(
    adapt(text, { profile: { dropParams: ['messages.reasoning_content'] } }).text,
    '{"model":"m","messages":[{"role":"assistant","content":"a"}]}',
  );
  assert.deepEqual(adapt(text, { profile: { dropParams: ['messages.reasoning_content'] } }).dropped, [
    'messages.reasoning_content',
  ]);
});

test('Q47b an upstream that only streams is sent a stream request with usage', () => {
  const { text, stream } = adapt('{"model":"m","stream":false}', { profile: { alwaysStream: true } });
  assert.deepEqual(JSON.parse(text), { model: 'm', stream: true, stream_options: { include_usage: true } });
  assert.equal(stream, true);
  assert.equal(adapt('{"model":"m"}', { forceStream: true }).text.includes('"stream":true'), true);
  assert.equal(adapt('{"model":"m","input":"x"}', { forceStream: true, kind: 'embeddings' }).stream, false);
});

test('S90 no 400 of ours has a word that RAGFlow misreads', () => {
  const bodies = [
    '',
    '{',
    '[]',
    '{"model":7}',
    '{"model":"a","model":"b"}',
    `${'['.repeat(600)}${' '.repeat(600)}`,
  ];
  for (const body of bodies) {
    assert.doesNotMatch(
      refusal(body).message,
      /server|timeout|unavailable|capacity|quota|rate limit|\bkey\b|auth/i,
    );
  }
});

test('promise 5 adaptations change their values and no other byte (seeded)', () => {
  const random = randomFrom(41);
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const texts = {
    seed: ['12345678901234567890', '1.0'],
    stream: ['true', 'false', 'null'],
    stream_options: ['{"include_usage":true}', '{"a":1.0}', 'null'],
    tools: ['[{}]', '[]', 'null'],
    tool_choice: ['"auto"', 'null'],
    user: ['"u"', 'null'],
    do_sample: ['true'],
    max_tokens: ['5', 'null'],
    max_completion_tokens: ['16.0', 'null'],
    messages: ['[{"role":"developer","content":"a"},{"role":"user","content":1.50}]', '[]'],
  };
  for (let round = 0; round < 3000; round++) {
    const members = Object.entries(texts)
      .filter(() => random() < 0.5)
      .map(([key, values]) => `"${key}"${pick(['', ' '])}:${pick(['', '\n'])}${pick(values)}`);
    members.splice(Math.floor(random() * (members.length + 1)), 0, '"model":"m"');
    const text = `{${members.join(pick([',', ', ']))}}`;
    const wantUsage = random() < 0.5;
    const { text: sent } = adapt(text, {
      upstreamModel: 'other',
      wantUsage,
      learnedDrops: pick([[], ['user', 'do_sample']]),
      profile: { roles: { developer: 'system' } },
    });
    const [before, after] = [raw(text), raw(sent)];
    assert.equal(after.get('model'), '"other"');
    for (const key of ['seed', 'stream', 'max_tokens', 'max_completion_tokens']) {
      assert.equal(after.get(key), before.get(key), text);
    }
    assert.equal(after.get('messages'), before.get('messages')?.replace('developer', 'system'));
    const isStream = before.get('stream') === 'true';
    if (!isStream) assert.equal(after.has('stream_options'), false, text);
    if (isStream && wantUsage) assert.match(after.get('stream_options') ?? '', /"include_usage":true/);
    if (isStream && !wantUsage) assert.equal(after.get('stream_options'), before.get('stream_options'));
    const hasTools = before.get('tools') === '[{}]';
    assert.equal(after.has('tool_choice'), hasTools && before.get('tool_choice') === '"auto"', text);
  }
});

/** Each member's value as it stands in the text. */
function raw(text: string): Map<string, string> {
  JSON.parse(text);
  return new Map(readMembers(text).map((m) => [m.key, text.slice(m.valueStart, m.valueEnd)]));
}

test('random bytes and mutated requests only ever raise a FerryError (seeded)', () => {
  const random = randomFrom(3);
  const seed = Buffer.from(
    '{"model":"m","messages":[{"role":"assistant","tool_calls":[{"index":0}]}],"stream":true,"stream_options":{}}',
  );
  for (let round = 0; round < 5000; round++) {
    const bytes = Buffer.from(seed);
    const changes = 1 + Math.floor(random() * 4);
    for (let i = 0; i < changes; i++) bytes[Math.floor(random() * bytes.length)] = Math.floor(random() * 256);
    try {
      const request = parseRequest(bytes, 'chat');
      const adapted = adaptRequest(request, {
        upstreamModel: 'other',
        profile: { ...DEFAULT_PROFILE, roles: { assistant: 'model' }, dropParams: ['x'] },
        wantUsage: true,
        learnedDrops: ['user'],
        forceStream: true,
      });
      assert.equal(JSON.parse(adapted.body.toString()).model, 'other');
    } catch (error) {
      assert.ok(error instanceof FerryError, `${error} ${bytes}`);
    }
  }
});

test('the position of the error in mutated JSON is where JSON.parse stops (seeded)', async () => {
  const { findJsonFault } = await import('../../../src/lib/json/json-scanner.ts');
  const random = randomFrom(5);
  const seed = '{"a":[1,-2.5e3,"x\\u00e9\\n",true,{"b":null}],"c":""}';
  for (let round = 0; round < 5000; round++) {
    const at = Math.floor(random() * seed.length);
    const char = '{}[]",:\\x1 .-e'[Math.floor(random() * 14)] ?? '';
    const text = seed.slice(0, at) + char + seed.slice(at + (random() < 0.5 ? 1 : 0));
    let isValid = true;
    try {
      JSON.parse(text);
    } catch {
      isValid = false;
    }
    const { position } = findJsonFault(text);
    assert.ok(position >= 0 && position <= text.length);
    if (!isValid) continue;
    assert.equal(position, text.length, text);
  }
});
