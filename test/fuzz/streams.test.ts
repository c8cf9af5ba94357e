import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCanonicalStream } from '../helpers/canonical-checker.ts';
import { errorIn, Gateway, until } from '../helpers/gateway.ts';
import { checkResponsesStream } from '../helpers/responses-checker.ts';
import { randomFrom } from '../helpers/seeded-random.ts';
import { ApiDescription, readReply } from '../openapi/api-description.ts';
import { AgreeableUpstream } from './agreeable-upstream.ts';
import { EXAMPLES, SEED } from './fuzz-settings.ts';
import { generatedRequest, inPieces } from './generated-requests.ts';

const CASES = 6 * EXAMPLES;

type Json = Record<string, unknown>;

const description = new ApiDescription();

/** What the adaptations of a request may change (promise 5); nothing else may differ. */
const ADAPTED = ['stream_options', 'tool_choice', 'parallel_tool_calls'];
const NEVER_EMPTY = ['stop', 'tools', 'functions'];
const NEVER_NULL = ['tools', 'functions', 'function_call', 'parallel_tool_calls', 'response_format', 'user'];

function unadapted(body: Json): Json {
  return Object.fromEntries(
    Object.entries(body).filter(
      ([name, value]) =>
        !ADAPTED.includes(name) &&
        !(value === null && NEVER_NULL.includes(name)) &&
        !(Array.isArray(value) && value.length === 0 && NEVER_EMPTY.includes(name)),
    ),
  );
}

function asksForUsage({ stream_options: options }: Json): boolean {
  return typeof options === 'object' && options !== null && (options as Json).include_usage === true;
}

function isLegacy({ tools, functions, function_call: call }: Json): boolean {
  const hasTools = Array.isArray(tools) && tools.length > 0;
  return !hasTools && (Array.isArray(functions) || (call !== undefined && call !== null));
}

for (const [path, form] of [
  ['/v1/chat/completions', 'chat'],
  ['/v1/completions', 'completions'],
] as const) {
  test(`S37 S92 ${CASES} generated requests for a stream on ${path}: every event is canonical and as openapi.yaml describes`, async () => {
    const random = randomFrom(SEED);
    await using upstream = await AgreeableUpstream.start((text) => inPieces(text, random));
    upstream.isKeeping = true;
    await using gateway = await Gateway.start({
      dbtype: 'none',
      upstreams: [{ name: 'agreeable', endpoint: upstream.url, sk: 'upstream-key' }],
    });
    const operation = description.operation('post', path);
    for (let made = 0; made < CASES; made++) {
      const body = generatedRequest(random);
      const sent = JSON.stringify(body);
      const what = `seed ${SEED}, case ${made}: ${sent}`;
      const reply = await readReply(gateway.post(path, sent));
      assert.equal(reply.status, 200, `${what}\n${reply.text}`);
      assert.match(reply.headers.get('content-type') ?? '', /^text\/event-stream/, what);
      try {
        description.checkReply(operation, reply);
        const rules = { form, includeUsage: asksForUsage(body), legacyFunctions: isLegacy(body) };
        const { error } = checkCanonicalStream(reply.text, rules);
        assert.equal(error, null);
        description.checkEvents(operation, reply.text);
        const [seen] = upstream.seen.splice(0);
        const got = JSON.parse(seen?.body.toString('utf8') ?? 'null') as Json;
        assert.deepEqual(
          unadapted(got),
          unadapted(JSON.parse(sent) as Json),
          'the upstream got what was sent',
        );
      } catch (error) {
        throw new Error(`${(error as Error).message}\n${what}\n${reply.text.slice(0, 3000)}`, {
          cause: error,
        });
      }
    }
    await until(() => upstream.open === 0, 'the upstream is left alone');
    assert.equal(upstream.unreadable, 0);
    assert.match(await gateway.metrics(), /^tokenferry_inflight 1$/m);
    assert.doesNotMatch(gateway.log, /internal error|defect of tokenferry/);
  });
}

test(`S125 ${CASES} generated requests for a stream on /v1/responses with via_chat: a 400 or the complete sequence of events`, async (context) => {
  const random = randomFrom(SEED);
  await using upstream = await AgreeableUpstream.start((text) => inPieces(text, random));
  await using gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [
      { name: 'agreeable', endpoint: upstream.url, sk: 'upstream-key', profile: { responses: 'via_chat' } },
    ],
  });
  const operation = description.operation('post', '/v1/responses');
  let served = 0;
  for (let made = 0; made < CASES; made++) {
    const body: Json = { input: 'When does it leave?', ...generatedRequest(random) };
    const what = `seed ${SEED}, case ${made}: ${JSON.stringify(body)}`;
    const reply = await readReply(gateway.post('/v1/responses', body));
    description.checkReply(operation, reply);
    if (reply.status === 400) {
      errorIn(reply.text);
      continue;
    }
    assert.equal(reply.status, 200, `${what}\n${reply.text}`);
    served += 1;
    try {
      assert.equal(checkResponsesStream(reply.text).error, null);
      description.checkEvents(operation, reply.text);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${what}\n${reply.text.slice(0, 3000)}`, { cause: error });
    }
  }
  context.diagnostic(`${served} of ${CASES} were served`);
  assert.ok(served > CASES / 4);
  assert.doesNotMatch(gateway.log, /internal error|defect of tokenferry/);
});
