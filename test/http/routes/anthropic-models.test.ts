import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { errorIn, Gateway } from '../../helpers/gateway.ts';
import { sendJson } from '../../helpers/json-answer.ts';
import { checkErrorBody } from '../../helpers/messages-checker.ts';
import { StandInModel } from '../../helpers/stand-in-model.ts';

const ANTHROPIC = { 'anthropic-version': '2023-06-01' };
let model: StandInModel;
let gateway: Gateway;

before(async () => {
  model = await StandInModel.start({
    intercept: ({ path }, response) => {
      if (!path.startsWith('/v1/models/')) return false;
      sendJson(response, { error: { message: 'The model does not exist', code: 'model_not_found' } }, 404);
      return true;
    },
  });
  gateway = await Gateway.start({
    noauth: true,
    upstreams: [
      {
        name: 'one',
        endpoint: model.url,
        sk: 'key',
        allow: ['corp-chat', 'corp-small'],
        models: { 'claude-haiku': 'corp-small', 'claude-*': 'corp-chat', 'a-*': 'hidden' },
      },
      {
        name: 'secret',
        endpoint: model.url,
        sk: 'key',
        allow: ['x'],
        clients: ['other'],
        models: { 'x-*': 'x' },
      },
    ],
    clients: [{ name: 'other', key: 'other-key' }],
  });
});

after(async () => {
  await gateway.close();
  await model.close();
});

// biome-ignore lint/suspicious/noExplicitAny: JSON of a response, looked at by the test.
async function get(path: string, headers: Record<string, string> = ANTHROPIC): Promise<any> {
  const response = await fetch(`${gateway.url}${path}`, { headers });
  return { status: response.status, ...((await response.json()) as object) };
}

const idsOf = (page: { data: { id: string }[] }): string[] => page.data.map(({ id }) => id);

test('a client that sends anthropic-version gets the list in the form of Anthropic', async () => {
  const page = await get('/v1/models');
  assert.deepEqual(Object.keys(page).sort(), ['data', 'first_id', 'has_more', 'last_id', 'status']);
  assert.deepEqual(idsOf(page), ['claude-haiku', 'corp-chat', 'corp-small']);
  assert.deepEqual([page.first_id, page.last_id, page.has_more], ['claude-haiku', 'corp-small', false]);
  const [first] = page.data;
  assert.deepEqual([first.type, first.display_name, first.lifecycle], ['model', 'claude-haiku', 'active']);
  assert.match(first.created_at, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.equal((await get('/v1/models', {})).object, 'list');
});

test('its pages follow limit, after_id and before_id', async () => {
  const first = await get('/v1/models?limit=2');
  assert.deepEqual([idsOf(first), first.has_more], [['claude-haiku', 'corp-chat'], true]);
  const second = await get(`/v1/models?limit=2&after_id=${first.last_id}`);
  assert.deepEqual([idsOf(second), second.has_more], [['corp-small'], false]);
  const back = await get('/v1/models?limit=1&before_id=corp-small');
  assert.deepEqual([idsOf(back), back.has_more], [['corp-chat'], true]);
  const start = await get('/v1/models?before_id=corp-chat');
  assert.deepEqual([idsOf(start), start.has_more], [['claude-haiku'], false]);
});

test('a name that a glob among the aliases matches is a model, in either form, for clients that may use it', async () => {
  const own = await get('/anthropic/v1/models/claude-sonnet-4-5');
  assert.deepEqual([own.status, own.type, own.id], [200, 'model', 'claude-sonnet-4-5']);
  const openai = await get('/v1/models/claude-sonnet-4-5', {});
  assert.deepEqual([openai.object, openai.id, openai.owned_by], ['model', 'claude-sonnet-4-5', 'tokenferry']);
  assert.equal((await get('/v1/models/x-1', {})).status, 403);
  assert.equal((await get('/v1/models/x-1', { authorization: 'Bearer other-key' })).status, 200);
});

test('errors of the list have the form that the client reads', async () => {
  const { status, ...body } = await get('/v1/models/unknown');
  assert.equal(checkErrorBody(body, status).type, 'not_found_error');
  const response = await fetch(`${gateway.url}/v1/models/unknown`);
  assert.equal(errorIn(await response.text()).code, 'model_not_found');
});
