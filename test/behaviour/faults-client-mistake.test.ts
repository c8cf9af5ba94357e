import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorIn, Gateway } from '../helpers/gateway.ts';
import { answering, httpAnswer, type RawScript } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { ask, bodyOf, KINDS, LIMITS, type Outcome, pathOf, testFault } from './fault-rig.ts';

const refusing = (status: number, error: object): RawScript =>
  answering(httpAnswer(JSON.stringify({ error }), { status }));

const MISTAKE: Outcome = {
  status: 400,
  code: 'invalid_value',
  type: 'invalid_request_error',
  says: /^temperature must be a number$/,
  shouldRetry: 'false',
  attempt: 'client_fault',
  upstreamStatus: 400,
  outcome: 'client_error',
  nextCandidate: false,
  counts: 'no',
  withinMs: 300,
};

for (const status of [400, 409, 413, 415, 422]) {
  const error = {
    message: 'temperature must be a number',
    type: 'invalid_request_error',
    param: 'temperature',
    code: 'invalid_value',
  };
  testFault(
    `status ${status}: an error of the client's request`,
    { script: () => refusing(status, error) },
    { ...MISTAKE, status, upstreamStatus: status },
  );
}

testFault(
  'a prompt that is too long',
  {
    script: () =>
      refusing(400, {
        message: "This model's maximum context length is 8192 tokens.",
        code: 'context_length_exceeded',
      }),
    kinds: ['chat', 'stream'],
  },
  {
    ...MISTAKE,
    code: 'context_length_exceeded',
    attempt: 'context_overflow',
    says: /maximum context length/,
  },
);

testFault(
  'a prompt that a content filter stopped',
  {
    script: () =>
      refusing(400, {
        message: 'The response was filtered due to the content management policy',
        code: 'content_filter',
      }),
    kinds: ['chat', 'stream'],
  },
  { ...MISTAKE, code: 'content_filter', attempt: 'content_filtered', says: /content management policy/ },
);

/** A model that refuses requests with one of `parameters` as OpenAI does. */
function fastidious(...parameters: string[]): Promise<StandInModel> {
  return StandInModel.start({
    reply: 'all is well',
    intercept: ({ body }, response) => {
      const found = parameters.find((name) => name in body);
      if (found === undefined) return false;
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          error: {
            message: `Unsupported parameter: '${found}' is not supported with this model.`,
            type: 'invalid_request_error',
            param: found,
            code: 'unsupported_parameter',
          },
        }),
      );
      return true;
    },
  });
}

for (const kind of KINDS) {
  test(`${kind}: refused parameters are dropped, named in x-tokenferry-dropped, and not sent the next time`, async () => {
    await using model = await fastidious('user', 'chat_template_kwargs');
    await using gateway = await Gateway.start({
      ...LIMITS,
      upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
    });
    const body = { ...bodyOf(kind, 'm'), user: 'u-1', chat_template_kwargs: { thinking: false } };
    const first = await gateway.post(pathOf(kind), body);
    assert.equal(first.status, 200, await first.text());
    assert.equal(model.received.length, 3);
    assert.deepEqual(first.headers.get('x-tokenferry-dropped')?.split(', ').sort(), [
      'chat_template_kwargs',
      'user',
    ]);
    const second = await gateway.post(pathOf(kind), body);
    await second.text();
    assert.equal(second.headers.get('x-tokenferry-attempts'), '1');
    assert.equal(model.received.length, 4);
    assert.deepEqual((await gateway.readiness()).degraded, []);
  });
}

test('parameters that change the meaning are never dropped: tools, response_format and stop', async () => {
  await using model = await fastidious('tools', 'response_format', 'stop', 'tool_choice');
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [{ name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'] }],
  });
  const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } };
  for (const extra of [{ tools: [tool] }, { response_format: { type: 'json_object' } }, { stop: ['x'] }]) {
    const asked = model.received.length;
    const response = await gateway.post('/v1/chat/completions', { ...bodyOf('chat', 'm'), ...extra });
    const text = await response.text();
    assert.equal(response.status, 400, text);
    assert.equal(errorIn(text).param, Object.keys(extra)[0]);
    assert.equal(model.received.length, asked + 1);
  }
});

test('with learn: false nothing is dropped', async () => {
  await using model = await fastidious('user');
  await using gateway = await Gateway.start({
    ...LIMITS,
    upstreams: [
      { name: 'lone', endpoint: model.url, sk: 'key-of-lone', allow: ['m'], profile: { learn: false } },
    ],
  });
  const { response } = await ask(gateway, 'chat', 'm');
  assert.equal(response.status, 200);
  const refused = await gateway.post('/v1/chat/completions', { ...bodyOf('chat', 'm'), user: 'u' });
  assert.equal(refused.status, 400, await refused.text());
});
