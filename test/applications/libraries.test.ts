import assert from 'node:assert/strict';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Answer, Json } from '../clients/answers.ts';
import {
  call,
  KEY,
  MODEL,
  nodeProgram,
  offers,
  pythonProgram,
  resultsOf,
  say,
  TIMETABLE,
  testApplication,
  VECTORS_MODEL,
} from './application-run.ts';

/** Frameworks whose agents call one tool, `write_file`, of a script in `python/`. */
const AGENTS = [
  ['openai-agents for Python, by the Responses API', 'agents', 'openai_agents.py'],
  ['pydantic-ai, by chat and by the Responses API', 'agents', 'pydantic_ai_agent.py'],
  ['smolagents', 'smol', 'smolagents_agent.py'],
  ['LlamaIndex', 'llama', 'llamaindex_agent.py'],
  ['Haystack', 'llama', 'haystack_agent.py'],
  ['LangChain', 'llama', 'langchain_agent.py'],
  ['litellm as a library', 'litellm', 'litellm_agent.py'],
] as const;

/** Writes the file by the tool of that name, then twice more says that it has. */
function writing(body: Json): Answer {
  const isSmol = offers(body, 'final_answer');
  // smolagents has the results in the texts of the user.
  const told = JSON.stringify(body.messages).match(/Observation:\\nwritten/g)?.length ?? 0;
  const results = isSmol ? told : resultsOf(body).length;
  if (offers(body, 'write_file') && results < 2)
    return call('write_file', { path: `file${results}.txt`, content: TIMETABLE }, results);
  return isSmol ? call('final_answer', { answer: 'WRITTEN' }, 9) : say('WRITTEN');
}

for (const [title, environment, script] of AGENTS) {
  const program = pythonProgram(environment);
  testApplication(`${title}: an agent writes a file by a tool`, program, {
    answer: writing,
    run: async ({ home, run, assertRenewals }) => {
      const file = join(home, script);
      await copyFile(fileURLToPath(new URL(`python/${script}`, import.meta.url)), file);
      const output = await run({ command: program, args: [file, MODEL] });
      assert.match(output, /WRITTEN/);
      assert.equal(await readFile(join(home, 'file0.txt'), 'utf8'), TIMETABLE);
      assertRenewals();
    },
  });
}

const scriptOf = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

testApplication(
  'OpenAI Agents SDK for JS, by the Responses API and by chat, whole and streamed',
  nodeProgram('codex'),
  {
    answer: writing,
    run: async ({ home, run, model, assertRenewals }) => {
      const program = { command: process.execPath, args: [scriptOf('javascript/openai-agents.mjs'), MODEL] };
      const output = await run(program);
      for (const how of ['responses whole', 'responses stream', 'chat whole', 'chat stream'])
        assert.match(output, new RegExp(`${how}: WRITTEN`));
      assert.equal(await readFile(join(home, 'file0.txt'), 'utf8'), TIMETABLE);
      assert.deepEqual(model.unknownPaths, ['POST /v1/responses'], 'learned at the first request');
      assertRenewals();
    },
  },
);

/** The fields that dspy's prompt asks for, in its format. */
function dspyAnswer(body: Json): Answer {
  const messages = body.messages as readonly { readonly content: string }[];
  const asked = messages.at(-1)?.content ?? '';
  const order = asked.slice(asked.lastIndexOf('Respond with the corresponding output fields'));
  const isWritten = asked.includes('[[ ## observation_0 ## ]]');
  const values: Readonly<Record<string, string>> = {
    next_thought: 'I write.',
    next_tool_name: isWritten ? 'finish' : 'write_file',
    next_tool_args: JSON.stringify(isWritten ? {} : { path: 'file0.txt', content: TIMETABLE }),
    reasoning: 'It is written.',
    answer: 'WRITTEN',
    completed: '',
  };
  const fields = [...order.matchAll(/\[\[ ## (\w+) ## \]\]/g)].map(
    ([mark, name = '']) => `${mark}\n${values[name] ?? ''}\n`,
  );
  return { ...say(''), text: fields };
}

testApplication('dspy: an agent with a tool, embeddings and a stream', pythonProgram('smol'), {
  answer: dspyAnswer,
  run: async ({ home, run, model, assertRenewals }) => {
    const args = [scriptOf('python/dspy_program.py'), MODEL, VECTORS_MODEL];
    const output = await run({ command: pythonProgram('smol'), args });
    assert.match(output, /^WRITTEN$/m);
    assert.match(output, /VECTORS \(25, 64\)/);
    assert.match(output, /STREAMED WRITTEN/);
    assert.equal(await readFile(join(home, 'file0.txt'), 'utf8'), TIMETABLE);
    assert.deepEqual(
      model.embedded.map(({ texts }) => texts.length),
      [10, 10, 5],
    );
    assertRenewals();
  },
});

const ENTITIES = `entity<|#|>Ferry<|#|>vehicle<|#|>${TIMETABLE}
entity<|#|>Noon<|#|>time<|#|>When the ferry leaves.
relation<|#|>Ferry<|#|>Noon<|#|>departure<|#|>${TIMETABLE}
<|COMPLETE|>`;

testApplication('LightRAG indexes a document and answers from it', pythonProgram('lightrag'), {
  answer: (body) =>
    say(JSON.stringify(body.messages).includes('<|COMPLETE|>') ? ENTITIES : 'It leaves at noon.'),
  run: async ({ home, run, model, assertRenewals }) => {
    const document = join(home, 'timetable.txt');
    await writeFile(document, `${TIMETABLE} `.repeat(20));
    const args = [scriptOf('python/lightrag_index.py'), MODEL, VECTORS_MODEL, '64', document];
    const output = await run({ command: pythonProgram('lightrag'), args });
    assert.match(output, /ANSWER It leaves at noon\./);
    assert.ok(
      model.embedded.some(({ texts }) => texts.some((text) => text.includes('Ferry'))),
      'entities',
    );
    assertRenewals();
  },
});

testApplication('llm chats, streams and calls a tool', pythonProgram('agents', 'llm'), {
  answer: writing,
  run: async ({ url, home, run, assertRenewals }) => {
    const program = pythonProgram('agents', 'llm');
    const env = { LLM_USER_PATH: home };
    // The settings of docs/applications.md.
    const model = {
      model_id: 'corp',
      model_name: MODEL,
      api_base: url,
      api_key_name: 'ferry',
      supports_tools: true,
    };
    await writeFile(join(home, 'extra-openai-models.yaml'), JSON.stringify([model]));
    await run({ command: program, args: ['keys', 'set', 'ferry', '--value', KEY], env });
    const functions =
      'def write_file(path: str, content: str) -> str:\n    open(path, "w").write(content)\n    return "written"\n';
    for (const option of [[], ['--no-stream']]) {
      const args = ['--model', 'corp', ...option, '--functions', functions, 'Write it.'];
      assert.match(await run({ command: program, args, env }), /WRITTEN/);
    }
    assert.equal(await readFile(join(home, 'file0.txt'), 'utf8'), TIMETABLE);
    assertRenewals();
  },
});
