import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorBody, errorIn, Gateway } from '../helpers/gateway.ts';
import { answerText, ByteUpstream } from './pass-through-rig.ts';
import { withUpstreams } from './several-upstreams.ts';

const OK = answerText('{"id":"modr-1","model":"m","results":[{"flagged":false}]}');
const PAGE = answerText('<html><title>404 Not Found</title></html>', 'text/html', 404);

interface Case {
  readonly allow?: readonly string[];
  readonly answer?: ReturnType<typeof answerText>;
}

/** Upstreams called `one`, `two`, … */
async function withCases(
  cases: readonly Case[],
  run: (gateway: Gateway, upstreams: readonly ByteUpstream[]) => Promise<void>,
  config: object = { noauth: true, dbtype: 'none' },
): Promise<void> {
  const upstreams = await Promise.all(cases.map(({ answer }) => ByteUpstream.start(answer ?? OK)));
  const entryOf = (index: number) => {
    const { allow } = cases[index] ?? {};
    return { name: ['one', 'two', 'three'][index], token: 'none', ...(allow === undefined ? {} : { allow }) };
  };
  await withUpstreams(upstreams, entryOf, config, run);
}

interface Refusal extends ErrorBody {
  readonly status: number;
}

async function refusal(gateway: Gateway, path: string, body?: object): Promise<Refusal> {
  const response = body === undefined ? await fetch(`${gateway.url}${path}`) : await gateway.post(path, body);
  const text = await response.text();
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  assert.equal(response.headers.get('x-should-retry'), 'false');
  return { status: response.status, ...errorIn(text) };
}

test('S127 S2 a path that no upstream allows is a 404 unsupported_endpoint with the line to configure', async () => {
  await withCases([{ allow: ['gpt-4o'] }], async (gateway, [one]) => {
    for (const [path, body, allow] of [
      ['/v1/moderations', { input: 'x' }, '/v1/moderations'],
      ['/moderations', { input: 'x' }, '/v1/moderations'],
      ['/v1/files', undefined, '/v1/files", "/v1/files/**'],
      ['/v1/files/file-1', undefined, '/v1/files", "/v1/files/**'],
      ['/v1/files/file-1/content', undefined, '/v1/files", "/v1/files/**'],
      ['/v1/batches', { input_file_id: 'file-1' }, '/v1/batches", "/v1/batches/**'],
      ['/v1/batches/b-1/cancel', {}, '/v1/batches", "/v1/batches/**'],
      ['/v1/audio/voices', undefined, '/v1/audio/voices'],
    ] as const) {
      const { status, code, message } = await refusal(gateway, path, body);
      assert.equal(status, 404, path);
      assert.equal(code, 'unsupported_endpoint', path);
      assert.ok(message.includes(`allow: ["${allow}"]`), message);
      assert.match(message, /no upstream allows it/);
    }
    assert.equal(one?.taken.length, 0);
  });
});

test('S127 the line to configure from the message makes the path work', async () => {
  await withCases(
    [{ allow: ['gpt-4o'] }, { allow: ['/v1/moderations', '/v1/files', '/v1/files/**'] }],
    async (gateway) => {
      for (const [path, body] of [
        ['/v1/moderations', { input: 'x' }],
        ['/v1/files', undefined],
        ['/v1/files/file-1', undefined],
      ] as const) {
        const response =
          body === undefined ? await fetch(`${gateway.url}${path}`) : await gateway.post(path, body);
        assert.equal(response.status, 200, await response.text());
        assert.equal(response.headers.get('x-tokenferry-upstream'), 'two');
      }
    },
  );
});

test('S127 an unknown model is model_not_found on these paths too', async () => {
  await withCases([{ allow: ['gpt-4o'] }], async (gateway) => {
    const { status, code, message } = await refusal(gateway, '/v1/moderations', {
      model: 'omni',
      input: 'x',
    });
    assert.equal(status, 404);
    assert.equal(code, 'model_not_found');
    assert.match(message, /"omni"/);
  });
});

/** What servers answer that have no such path, by what the client gets when nobody has it. */
const UNKNOWN = {
  upstream_not_found: [
    PAGE,
    answerText('404 page not found\n', 'text/plain', 404),
    answerText('', null, 404),
    answerText('Cannot POST /v1/moderations', 'text/html', 404),
  ],
  unsupported_endpoint: [
    answerText('{"detail":"Not Found"}', 'application/json', 404),
    answerText(
      '{"error":{"message":"Invalid URL (POST /v1/moderations)","type":"invalid_request_error"}}',
      'application/json',
      404,
    ),
    answerText(
      '{"error":{"message":"not offered here","code":"unsupported_endpoint"}}',
      'application/json',
      404,
    ),
    answerText(
      '{"error":{"message":"no such path: /v1/moderations","code":"unknown_path"}}',
      'application/json',
      404,
    ),
  ],
} as const;

test('S127 upstreams without the path are named: 404 when their API responds so, 502 when a web server does', async () => {
  for (const [expected, answers] of Object.entries(UNKNOWN)) {
    for (const answer of answers) {
      await withCases([{ answer }, { answer }, { allow: ['gpt-4o'] }], async (gateway, upstreams) => {
        const { status, code, message } = await refusal(gateway, '/v1/moderations', { input: 'x' });
        assert.equal(status, expected === 'upstream_not_found' ? 502 : 404);
        assert.equal(code, expected);
        assert.match(message, /tried: "one", "two"\)/);
        assert.ok(message.includes('allow: ["/v1/moderations"]'), message);
        assert.ok(message.includes('deny: ["/v1/moderations"]'), message);
        assert.doesNotMatch(message, /127\.0\.0\.1|<|html/);
        assert.deepEqual(
          upstreams.map(({ taken }) => taken.length),
          [1, 1, 0],
        );
        assert.deepEqual((await gateway.readiness()).degraded, [], 'it says nothing against them');
      });
    }
  }
});

test('S127 a path that no upstream offers is recorded as the client’s mistake; a web server’s 404 as the upstream’s', async () => {
  for (const [answer, outcome] of [
    [UNKNOWN.unsupported_endpoint[0], 'client_error'],
    [UNKNOWN.upstream_not_found[0], 'upstream_error'],
  ] as const) {
    await withCases(
      [{ answer }],
      async (gateway) => {
        const response = await gateway.post('/v1/moderations', { input: 'x' });
        const row = await gateway.rowOf(response.headers.get('x-request-id'));
        assert.equal(row.outcome, outcome);
        assert.equal(row.attempts.at(-1)?.outcome, 'path_not_found');
      },
      { noauth: true },
    );
  }
});

test('S127 an upstream that fails may have the path: the client gets its failure, in any order', async () => {
  const unknown = { answer: UNKNOWN.unsupported_endpoint[0] };
  const failing = { answer: answerText('{"error":{"message":"busy"}}', 'application/json', 503) };
  for (const cases of [
    [unknown, failing],
    [failing, unknown],
  ]) {
    await withCases(cases, async (gateway) => {
      const response = await gateway.post('/v1/moderations', { input: 'x' });
      assert.equal(response.status, 503, await response.text());
    });
  }
});

test('S127 /responses that upstreams do not have is the same 404 beside an upstream with via_chat', async () => {
  for (const profile of [{}, { responses: 'via_chat' }]) {
    await using unknowing = await ByteUpstream.start(UNKNOWN.unsupported_endpoint[0]);
    await using gateway = await Gateway.start({
      noauth: true,
      dbtype: 'none',
      upstreams: [
        { name: 'one', endpoint: unknowing.url, token: 'none', allow: ['m'] },
        { name: 'two', endpoint: unknowing.url, token: 'none', allow: ['other'], profile },
      ],
    });
    const { status, code, message } = await refusal(gateway, '/v1/responses', { model: 'm', input: 'x' });
    assert.equal(status, 404);
    assert.equal(code, 'unsupported_endpoint');
    assert.match(message, /tried: "one"\)/);
    assert.ok(message.includes('allow: ["/v1/responses"]'), message);
  }
});

test('S127 an upstream that has the path serves it when another one has not', async () => {
  for (const answer of [...UNKNOWN.upstream_not_found, ...UNKNOWN.unsupported_endpoint]) {
    await withCases([{ answer }, {}], async (gateway) => {
      const response = await gateway.post('/v1/moderations', { input: 'x' });
      assert.equal(response.status, 200, await response.text());
      assert.equal(response.headers.get('x-tokenferry-upstream'), 'two');
    });
  }
});

test('S127 an HTML page in a 200 is invalid: the start page of a web server does not reach the client', async () => {
  const page = answerText('<!doctype html><title>Welcome</title>', 'text/html; charset=utf-8');
  await withCases([{ answer: page }, {}], async (gateway) => {
    const response = await gateway.post('/v1/moderations', { input: 'x' });
    assert.equal(response.headers.get('x-tokenferry-upstream'), 'two', await response.text());
  });
  await withCases([{ answer: page }], async (gateway) => {
    const response = await fetch(`${gateway.url}/v1/files`);
    assert.equal(response.status, 502);
    assert.equal(errorIn(await response.text()).code, 'upstream_invalid_response');
    const content = await fetch(`${gateway.url}/v1/files/file-1/content`);
    assert.equal(content.status, 200, 'a file may be a page');
    assert.match(await content.text(), /Welcome/);
  });
});

test('an object that an upstream does not have is a 404 with its message', async () => {
  for (const [answer, says] of [
    [
      answerText('{"error":{"message":"No such File object: file-1","code":null}}', 'application/json', 404),
      /No such File/,
    ],
    [answerText('{"detail":"Not Found"}', 'application/json', 404), /Not Found/],
  ] as const) {
    await withCases([{ answer }], async (gateway) => {
      const response = await fetch(`${gateway.url}/v1/files/file-1`);
      const text = await response.text();
      assert.equal(response.status, 404, text);
      assert.match(errorIn(text).message, says);
    });
  }
});
