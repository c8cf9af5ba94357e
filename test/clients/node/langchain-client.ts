/** `@langchain/openai`. */
import type { Reading } from '../protocol.ts';
import { chatModelOf, chatWays, connectionOf, type Message, readMessage } from './langchain-ways.ts';
import { runProgram } from './program.ts';

// The package is there only after `npm run install:clients`, so its types are not relied on.
const packages = { openai: '@langchain/openai' };
const { OpenAIEmbeddings } = await import(packages.openai);

interface ChatMessage extends Message {
  readonly content: unknown;
  readonly additional_kwargs: { readonly reasoning_content?: string };
  readonly response_metadata: { readonly finish_reason?: string };
}

function read(message: ChatMessage, reading: Reading): void {
  reading.text = String(message.content);
  reading.reasoning = message.additional_kwargs.reasoning_content ?? '';
  reading.finish = message.response_metadata.finish_reason ?? null;
  readMessage(message, reading);
}

await runProgram({
  ...chatWays((task) => chatModelOf<ChatMessage>(task, { streamUsage: task.includeUsage }), read),
  embed: async (task, reading) => {
    const embeddings = new OpenAIEmbeddings(connectionOf(task));
    reading.value = await embeddings.embedDocuments([...(task.inputs ?? [])]);
  },
});
