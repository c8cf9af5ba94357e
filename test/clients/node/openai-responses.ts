/** `responses` of the openai package: its iterator, its `.stream()` helper, whole replies. */
import { QUESTION, type Reading, type Task, TOOLS } from '../protocol.ts';
import { clientOf } from './openai-package.ts';
import { runProgram } from './program.ts';

type Response = import('openai').OpenAI.Responses.Response;

function requestOf({ model, tools }: Task) {
  const flat = TOOLS.map(({ function: { name, parameters, strict } }) => ({
    type: 'function' as const,
    name,
    parameters,
    strict,
  }));
  return { model, input: QUESTION, ...(tools ? { tools: flat } : {}) };
}

/** What an application takes from the Response at the end. */
function readResponse(response: Response, reading: Reading): void {
  // The helper of most versions leaves `output_text` out, as the API itself does.
  const parts = response.output.flatMap((item) => (item.type === 'message' ? item.content : []));
  reading.text = parts.map((part) => ('text' in part ? part.text : '')).join('');
  reading.finish = response.incomplete_details?.reason ?? response.status ?? null;
  reading.reasoning = '';
  reading.calls = [];
  for (const item of response.output) {
    if (item.type === 'reasoning') reading.reasoning += item.summary.map(({ text }) => text).join('');
    if (item.type === 'function_call')
      reading.calls.push({ id: item.call_id, name: item.name, arguments: item.arguments });
  }
  const { usage } = response;
  if (usage)
    reading.usage = [
      { prompt: usage.input_tokens, completion: usage.output_tokens, total: usage.total_tokens },
    ];
}

await runProgram({
  /** By hand: every delta joined, and the Response at the end must say the same. */
  iterator: async (task, reading) => {
    const stream = await clientOf(task).responses.create({ ...requestOf(task), stream: true });
    const told = { text: '', reasoning: '', arguments: '' };
    let last: Response | null = null;
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') told.text += event.delta;
      if (event.type === 'response.reasoning_summary_text.delta') told.reasoning += event.delta;
      if (event.type === 'response.function_call_arguments.delta') told.arguments += event.delta;
      if (event.type === 'response.completed' || event.type === 'response.incomplete') last = event.response;
      reading.text = told.text;
    }
    if (last === null) throw new Error('no Response at the end');
    readResponse(last, reading);
    const args = reading.calls.map((call) => call.arguments).join('');
    if (reading.text !== told.text || reading.reasoning !== told.reasoning || args !== told.arguments)
      throw new Error(`the deltas say ${JSON.stringify(told)}`);
  },
  helper: async (task, reading) => {
    const stream = clientOf(task).responses.stream(requestOf(task));
    stream.on('response.output_text.delta', ({ delta }) => {
      reading.text += delta;
    });
    let incomplete: Response | null = null;
    stream.on('response.incomplete', ({ response }) => {
      incomplete = response;
    });
    const whole = await stream.finalResponse();
    // Before 7 the helper itself knew only complete ones, whoever sends the events.
    readResponse(incomplete ?? whole, reading);
  },
  whole: async (task, reading) => {
    const response = await clientOf(task).responses.create(requestOf(task));
    readResponse(response, reading);
    if (response.output_text !== reading.text) throw new Error(`output_text is ${response.output_text}`);
  },
  /** A second turn: the output goes back as it is, with what the functions gave. */
  turns: async (task, reading) => {
    const { input, ...request } = requestOf({ ...task, tools: true });
    const first = await clientOf(task).responses.create({ ...request, input });
    const results = first.output.flatMap((item) =>
      item.type === 'function_call'
        ? [{ type: 'function_call_output' as const, call_id: item.call_id, output: 'sunny' }]
        : [],
    );
    const next = [
      { role: 'user' as const, content: input },
      ...first.output,
      ...results,
      { role: 'user' as const, content: 'And then?' },
    ];
    const items = next as import('openai').OpenAI.Responses.ResponseInput;
    readResponse(await clientOf(task).responses.create({ ...request, input: items }), reading);
  },
});
