/** `@langchain/openai` with `useResponsesApi`. */
import { QUESTION, type Reading, type Task } from '../protocol.ts';
import { chatModelOf, chatWays, type Message, readMessage } from './langchain-ways.ts';
import { runProgram } from './program.ts';

// The package is there only after `npm run install:clients`, so its types are not relied on.
const packages = { messages: '@langchain/core/messages' };
const { HumanMessage, ToolMessage } = await import(packages.messages);

interface ResponsesMessage extends Message {
  readonly additional_kwargs: { readonly reasoning?: { readonly summary?: readonly { text: string }[] } };
  readonly response_metadata: {
    readonly status?: string;
    readonly incomplete_details?: { readonly reason: string } | null;
  };
}

function modelOf(task: Task) {
  return chatModelOf<ResponsesMessage>(task, { useResponsesApi: true });
}

function read(message: ResponsesMessage, reading: Reading): void {
  const { status, incomplete_details: details } = message.response_metadata;
  reading.text = message.text;
  reading.reasoning = (message.additional_kwargs.reasoning?.summary ?? []).map(({ text }) => text).join('');
  reading.finish = details?.reason ?? status ?? null;
  readMessage(message, reading);
}

await runProgram({
  ...chatWays(modelOf, read),
  /** A second turn: the message goes back as it is, with what the tools gave. */
  turns: async (task, reading) => {
    const model = modelOf({ ...task, tools: true });
    const question = new HumanMessage(QUESTION);
    const first = await model.invoke([question]);
    const results = (first.tool_calls ?? []).map(
      ({ id }) => new ToolMessage({ content: 'sunny', tool_call_id: id }),
    );
    read(await model.invoke([question, first, ...results, new HumanMessage('And then?')]), reading);
  },
});
