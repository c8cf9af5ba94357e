import { writeFileSync } from 'node:fs';
import { Agent, OpenAIProvider, Runner, setTracingDisabled, tool } from '@openai/agents';
import { z } from 'zod';

setTracingDisabled(true);

const write = tool({
  name: 'write_file',
  description: 'Writes a file.',
  parameters: z.object({ path: z.string(), content: z.string() }),
  execute: ({ path, content }) => {
    writeFileSync(path, content);
    return 'written';
  },
});

for (const useResponses of [true, false]) {
  for (const stream of [false, true]) {
    const runner = new Runner({ modelProvider: new OpenAIProvider({ useResponses }) });
    const agent = new Agent({
      name: 'ferry',
      instructions: 'Write.',
      model: process.argv[2],
      tools: [write],
    });
    const result = await runner.run(agent, 'Write it.', { stream });
    if (stream) {
      for await (const piece of result.toTextStream()) process.stdout.write(piece);
      await result.completed;
    }
    console.log(
      `${useResponses ? 'responses' : 'chat'} ${stream ? 'stream' : 'whole'}: ${result.finalOutput}`,
    );
  }
}
