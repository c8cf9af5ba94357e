interface Sample {
  readonly name: string;
  readonly text: string;
}

/** The call of a chat in the languages that people ask for. */
export function callLines(call: {
  readonly baseUrl: string;
  readonly model: string;
  readonly prompt: string;
}): Sample[] {
  const model = JSON.stringify(call.model);
  const prompt = JSON.stringify(call.prompt);
  const body = JSON.stringify({
    model: call.model,
    messages: [{ role: 'user', content: call.prompt }],
    stream: true,
  }).replaceAll("'", String.raw`'\''`);
  return [
    {
      name: 'Python',
      text: `from openai import OpenAI

client = OpenAI(base_url=${JSON.stringify(call.baseUrl)}, api_key="YOUR_KEY")
stream = client.chat.completions.create(
    model=${model},
    messages=[{"role": "user", "content": ${prompt}}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)`,
    },
    {
      name: 'JavaScript',
      text: `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: ${JSON.stringify(call.baseUrl)}, apiKey: 'YOUR_KEY' });
const stream = await client.chat.completions.create({
  model: ${model},
  messages: [{ role: 'user', content: ${prompt} }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? '');`,
    },
    {
      name: 'curl',
      text: `curl -N ${call.baseUrl}/chat/completions \\
  -H 'Authorization: Bearer YOUR_KEY' \\
  -H 'Content-Type: application/json' \\
  -d '${body}'`,
    },
  ];
}
