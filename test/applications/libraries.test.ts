import assert from 'node:assert/strict';
import { copyFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Answer, Json } from '../clients/answers.ts';
import {
  call,
  MODEL,
  offers,
  pythonProgram,
  resultsOf,
  say,
  TIMETABLE,
  testApplication,
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
  const results = resultsOf(body);
  const isSmol = offers(body, 'final_answer');
  if (offers(body, 'write_file') && results.length < 2)
    return call('write_file', { path: `file${results.length}.txt`, content: TIMETABLE }, results.length);
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
