/**
 * `npm run mutate:holder`: disables each decision of the token manager in turn and runs the manager's tests; every
 * mutant must make one of them fail. Works on a copy; writes its result into docs/tokens.md.
 *
 *   npm run mutate:holder -- breaker     only mutants whose line contains the word; writes nothing
 */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Mutant, mutated, TOKEN_MANAGER_MUTANTS } from './token-manager-mutants.ts';

const root = fileURLToPath(new URL('../', import.meta.url));

/** The tests that speak about the manager, in one process. */
const TESTS = [
  'transition',
  'counters',
  'outage',
  'renewal',
  'rejection',
  'start',
  'clock',
  'demand',
  'secrets',
  '../sharing/shared-source',
  'property',
];
/** A mutant that hangs is killed as well. */
const MAX_RUN_MS = 60_000;
/** Copies that are worked on at one time. */
const LANES = 2;
/** Worlds of the property test: the others are for the change itself. */
const SEEDS = '12';

const DOCUMENT = 'docs/tokens.md';
const BEGIN = '<!-- written by npm run mutate:holder -->';
const END = '<!-- end of mutants -->';

interface Verdict {
  readonly mutant: Mutant;
  /** The first test that failed; `(hangs)` when none finished; null: it survived. */
  readonly killedBy: string | null;
}

/** Runs the tests in `copy` until the first failure. */
function firstFailure(copy: string): Promise<string | null> {
  const files = TESTS.map((name) => `test/tokens/manager/${name}.test.ts`);
  const flags = ['--test', '--test-isolation=none', '--test-reporter=tap', ...files];
  const child = spawn(process.execPath, flags, {
    cwd: copy,
    env: { ...process.env, TOKEN_SEEDS: SEEDS },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return new Promise((resolve) => {
    let output = '';
    let failure: string | null = null;
    const timer = setTimeout(() => {
      failure = '(hangs)';
      child.kill('SIGKILL');
    }, MAX_RUN_MS);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      const failed = /^not ok \d+ - (.*)$/m.exec(output)?.[1];
      if (failed === undefined || failure !== null) return;
      failure = failed.replaceAll('\\#', '#');
      child.kill('SIGKILL');
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve(failure ?? (code === 0 ? null : '(the run as a whole)'));
    });
  });
}

function makeCopy(): string {
  const copy = mkdtempSync(join(tmpdir(), 'tokenferry-mutants-'));
  for (const folder of ['src', 'test/tokens', 'test/helpers'])
    cpSync(root + folder, join(copy, folder), { recursive: true });
  cpSync(`${root}package.json`, join(copy, 'package.json'));
  symlinkSync(`${root}node_modules`, join(copy, 'node_modules'));
  return copy;
}

async function judge(copy: string, mutant: Mutant): Promise<Verdict> {
  const file = join(copy, 'src/tokens/manager', mutant.file);
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, mutated(text, mutant));
  const killedBy = await firstFailure(copy);
  writeFileSync(file, text);
  console.log(
    `${killedBy === null ? 'SURVIVED' : 'killed  '} ${mutant.part}: does not ${mutant.what}${killedBy === null ? '' : ` → ${killedBy}`}`,
  );
  return { mutant, killedBy };
}

async function judgeAll(mutants: readonly Mutant[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  const waiting = [...mutants];
  const lane = async (): Promise<void> => {
    const copy = makeCopy();
    try {
      const healthy = await firstFailure(copy);
      if (healthy !== null) throw new Error(`without a mutant a test fails already: ${healthy}`);
      for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift())
        verdicts.push(await judge(copy, mutant));
    } finally {
      rmSync(copy, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return mutants.flatMap((mutant) => verdicts.filter((verdict) => verdict.mutant === mutant));
}

function writeResult(verdicts: readonly Verdict[]): void {
  const killed = verdicts.filter(({ killedBy }) => killedBy !== null).length;
  const rows = verdicts.map(
    ({ mutant, killedBy }) =>
      `| ${mutant.part} | ${mutant.what} | ${(killedBy ?? '**none**').replaceAll('|', '\\|').replaceAll('<', '&lt;')} |\n`,
  );
  const text = `${BEGIN}\n\n${killed} of ${verdicts.length} mutants are killed.\n\n| In | The token manager does not … | Killed by |\n|---|---|---|\n${rows.join('')}\n`;
  const document = readFileSync(root + DOCUMENT, 'utf8');
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END, from);
  if (from < 0 || to < 0) throw new Error(`${DOCUMENT} has lost the marks of the mutants`);
  writeFileSync(root + DOCUMENT, document.slice(0, from) + text + document.slice(to));
}

const words = process.argv.slice(2);
const chosen = TOKEN_MANAGER_MUTANTS.filter(({ part, what, file }) =>
  words.every((word) => `${part} ${what} ${file}`.includes(word)),
);
const verdicts = await judgeAll(chosen);
const survivors = verdicts.filter(({ killedBy }) => killedBy === null);
console.log(`\n${verdicts.length - survivors.length} of ${verdicts.length} mutants are killed`);
if (words.length === 0) writeResult(verdicts);
process.exitCode = survivors.length === 0 ? 0 : 1;
