import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRequest } from '../../../src/openai/request/parsed-request.ts';
import { responsesAsChat } from '../../../src/openai/responses/responses-request.ts';

function echoOf(members: object): Record<string, unknown> {
  const body = Buffer.from(JSON.stringify({ model: 'm', input: 'Hello', ...members }));
  return responsesAsChat(parseRequest(body, 'chat')).echo as Record<string, unknown>;
}

test('S124 a Response repeats the parameters of the request', () => {
  const asked = {
    temperature: 0.5,
    top_p: 1,
    max_output_tokens: 12,
    parallel_tool_calls: false,
    metadata: { a: 'b' },
    tools: [{ type: 'function', name: 'f' }],
    tool_choice: 'required',
    truncation: 'auto',
    user: 'me',
  };
  const echo = echoOf(asked);
  for (const [name, value] of Object.entries(asked)) assert.deepEqual(echo[name], value, name);
});

test('S124 a Response has the types of the API for any types of the request', () => {
  for (const odd of [0.1, 'text', true, ['list'], { an: 'object' }, { rawJSON: '5' }]) {
    const echo = echoOf({
      temperature: odd,
      top_p: odd,
      max_output_tokens: odd,
      max_tool_calls: odd,
      parallel_tool_calls: odd,
      metadata: odd,
      reasoning: { effort: odd, summary: odd },
      text: { format: odd },
      tool_choice: odd,
      truncation: odd,
      user: odd,
    });
    for (const name of ['temperature', 'top_p', 'max_output_tokens', 'max_tool_calls'])
      assert.ok(echo[name] === null || typeof echo[name] === 'number', `${name}: ${JSON.stringify(odd)}`);
    assert.equal(typeof echo.parallel_tool_calls, 'boolean');
    assert.ok(echo.metadata !== null && typeof echo.metadata === 'object' && !Array.isArray(echo.metadata));
    const { effort, summary } = echo.reasoning as Record<string, unknown>;
    for (const word of [effort, summary]) assert.ok(word === null || typeof word === 'string');
    const { format } = echo.text as { format: unknown };
    assert.ok(typeof format === 'object' && format !== null && !Array.isArray(format));
    const choice = echo.tool_choice;
    assert.ok(choice === 'auto' || (typeof choice === 'object' && !Array.isArray(choice)), String(choice));
    assert.ok(echo.truncation === 'auto' || echo.truncation === 'disabled');
    assert.ok(!('user' in echo) || typeof echo.user === 'string');
  }
});
