import { assertWritten, MODEL, nodeProgram, testApplication, writesAndReads } from './application-run.ts';

const PROGRAM = nodeProgram('qwen');

testApplication('Qwen Code writes and reads a file', PROGRAM, {
  answer: writesAndReads({ write: 'write_file', read: 'read_file', path: 'file_path' }),
  run: async (scene) => {
    const output = await scene.run({
      command: PROGRAM,
      args: ['--auth-type', 'openai', '--yolo', '--prompt', 'Write it.'],
      env: { OPENAI_MODEL: MODEL },
    });
    await assertWritten(scene, output);
  },
});
