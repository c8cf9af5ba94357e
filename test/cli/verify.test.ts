import assert from 'node:assert/strict';
import { test } from 'node:test';
import { describeStream, slowFirstText, verify } from '../../src/cli/verify.ts';
import { refusingUrl } from '../helpers/raw-upstream.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';

/** Runs the command and returns its exit code with all that it printed. */
async function run(
  t: { mock: typeof test.mock },
  ...args: string[]
): Promise<{ code: number; text: string }> {
  const lines: string[] = [];
  const keep = (...words: unknown[]): void => void lines.push(words.join(' '));
  const mocks = [t.mock.method(console, 'log', keep), t.mock.method(console, 'error', keep)];
  const code = await verify(args);
  for (const mock of mocks) mock.mock.restore();
  return { code, text: lines.join('\n') };
}

test('against a good server every check passes, with each chunk printed and a verdict for users', async (t) => {
  const model = await StandInModel.start({ wordDelayMs: 10 });
  t.after(() => model.close());
  const { code, text } = await run(t, '--url', model.url, '--key', 'k');
  assert.equal(code, 0, text);
  assert.match(text, /ok {4}models: 2 listed: stand-in, stand-in-embed/);
  assert.match(text, /\d+ \| {2}ferry/);
  assert.match(text, /Dify will accept.*RAGFlow will accept.*the text grow: one chunk every \d+ ms/s);
  assert.match(text, /vectors of 8 dimensions/);
});

test('a wrong key fails every check with a hint, exit code 1', async (t) => {
  const model = await StandInModel.start({ isLive: (token) => token === 'right' });
  t.after(() => model.close());
  const { code, text } = await run(t, '--url', model.url, '--key', 'wrong', '--model', 'stand-in');
  assert.equal(code, 1);
  assert.match(text, /FAIL {2}chat: 401 .*--key/);
  assert.ok(!text.includes('wrong'));
});

test('an address without a server is a clear error', async (t) => {
  const { code, text } = await run(t, '--url', await refusingUrl(), '--model', 'm');
  assert.equal(code, 1);
  assert.match(text, /no connection to this URL: .*ECONNREFUSED/);
});

test('a stream without text or without an end, and too few vectors, are failures', async (t) => {
  const model = await StandInModel.start({ reply: '' });
  t.after(() => model.close());
  const empty = await run(t, '--url', model.url);
  assert.equal(empty.code, 1);
  assert.match(empty.text, /FAIL {2}stream: the stream had no text/);
  model.set({
    reply: 'a b',
    intercept: (request, response) => {
      if (request.body.stream === true) {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.end('data: {"id":"1","choices":[{"index":0,"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n');
      } else if (request.path.endsWith('/embeddings')) {
        response.setHeader('content-type', 'application/json');
        response.end('{"data":[{"index":0,"embedding":[1]}],"usage":{"total_tokens":1}}');
      } else return false;
      return true;
    },
  });
  const broken = await run(t, '--url', model.url);
  assert.match(broken.text, /FAIL {2}stream: the stream ended without a finish_reason/);
  assert.match(broken.text, /FAIL {2}embeddings: 2 texts gave 1 vector\n/);
});

test('reasoning before the content counts as the first text, and is marked', async (t) => {
  const model = await StandInModel.start();
  t.after(() => model.close());
  const chunk = (delta: object, finish: string | null = null) =>
    `data: ${JSON.stringify({ id: '1', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
  let answer = '';
  model.set({
    intercept: (request, response) => {
      if (request.body.stream !== true) return false;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(chunk({ role: 'assistant', reasoning_content: 'hm' }));
      setTimeout(() => response.end(`${chunk({ content: answer })}${chunk({}, 'stop')}data: [DONE]\n\n`), 40);
      return true;
    },
  });
  answer = 'Hello.';
  const { code, text } = await run(t, '--url', model.url);
  assert.equal(code, 0, text);
  assert.match(text, / \| \(reasoning\) hm\n +\d+ \| Hello\.\n/);
  assert.match(text, /ok {4}stream: .*2 chunks/);
  answer = '';
  const silent = await run(t, '--url', model.url);
  assert.equal(silent.code, 1);
  assert.match(silent.text, /FAIL {2}stream: the stream had reasoning and no content/);
});

test('an unknown flag or an unusable URL is bad usage, exit code 2', async (t) => {
  assert.equal((await run(t, '--nope')).code, 2);
  assert.equal((await run(t, '--url', 'ftp://x')).code, 2);
});

test('the verdict distinguishes a growing text, one that comes in a burst, and a late first word', () => {
  assert.match(
    describeStream({ firstTextMs: 300, gapsMs: [40, 45, 50, 300, 41] }),
    /after 300 ms .* longest pause 300 ms/,
  );
  assert.match(describeStream({ firstTextMs: 4000, gapsMs: [0, 0.2, 1, 0, 0] }), /everything at once/);
  assert.match(describeStream({ firstTextMs: 500, gapsMs: [] }), /short answer at once/);
  assert.equal(slowFirstText({ firstTextMs: 9999, gapsMs: [] }), null);
  assert.match(slowFirstText({ firstTextMs: 12_000, gapsMs: [] }) ?? '', /12\.0 s; RAGFlow gives up/);
});

test('a tool call and /responses are tried, and what only some applications need is no failure', async (t) => {
  const call = { id: 'c', type: 'function', function: { name: 'get_departure', arguments: '{"pier":"1"}' } };
  const item = { type: 'function_call', id: 'fc_1', call_id: 'c', name: 'get_departure', arguments: '{}' };
  const model = await StandInModel.start({
    intercept: ({ path, body }, response) => {
      if (path.endsWith('/responses')) {
        const event = { type: 'response.completed', response: { id: 'r', output: [item] } };
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.end(`event: response.completed\ndata: ${JSON.stringify(event)}\n\n`);
        return true;
      }
      if (body.tools === undefined) return false;
      const message = { role: 'assistant', content: null, tool_calls: [call] };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ choices: [{ index: 0, message, finish_reason: 'tool_calls' }] }));
      return true;
    },
  });
  t.after(() => model.close());
  const able = await run(t, '--url', model.url, '--model', 'stand-in');
  assert.equal(able.code, 0, able.text);
  assert.match(able.text, /ok {4}tool call: stand-in calls get_departure.*Agents will work/s);
  assert.match(able.text, /ok {4}responses: function_call.*Codex will work with this model/s);
  model.set({
    intercept: ({ path, body }, response) => {
      if (body.tools === undefined) return false;
      const status = path.endsWith('/responses') ? 404 : 400;
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end('{"error":{"message":"tools are not known here"}}');
      return true;
    },
  });
  const unable = await run(t, '--url', model.url, '--model', 'stand-in');
  assert.equal(unable.code, 0, unable.text);
  assert.match(unable.text, /skip {2}tool call: .*tools are not known here; agents .* will not work/);
  assert.match(unable.text, /skip {2}responses: .*Codex and the Agents SDK will not work/);
});
