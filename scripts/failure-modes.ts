/**
 * `node scripts/failure-modes.ts`: writes the table of failure modes in docs/tokens.md. The mode of a test is
 * in its title, which begins with `#N`; a test of this script checks that the table is current and every mode has a test.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** What goes wrong with short-lived tokens elsewhere; the number is the place in the list, from 1. */
export const FAILURE_MODES: readonly string[] = [
  'Many requests at a cold start',
  'A lifetime shorter than any fixed refresh window',
  'Issuer answers 5xx or refuses connections while a renewal is due',
  'Issuer accepts the connection and never responds',
  'Response that drips in, or is huge',
  'Outage longer than the lifetime of a token',
  'Status 200 with an error, an empty body, HTML, cut JSON',
  'Rejection of the credentials, and responses that only look like it',
  '`Retry-After` in seconds, as a date, absurd, negative',
  'Token revoked early, with many requests on their way',
  'Late 401 for a token that was replaced already',
  '401 while a renewal is under way',
  '401 for other reasons than the token',
  'Renewal brings the rejected token again',
  'Renewal brings the same token with another lifetime',
  'A new token revokes the one before',
  'Two replicas revoke each other’s tokens',
  'Wall clock steps or is wrong',
  'Machine sleeps',
  'Clock of the issuer is wrong',
  'Token that is not valid yet (`nbf`, `iat`)',
  'No stated lifetime',
  'Lifetime in every notation, valid or not',
  'Lifetime of a month and more',
  'Issuer so slow that a good part of the lifetime is over',
  'Client leaves while it waits',
  'Failing renewal in the background',
  'Secret or file changes',
  'Token file swapped, cut, empty, unreadable, deleted',
  'Helper program hangs, forks, floods, fails',
  'Token with line breaks, quotes, prefixes',
  'Redirect from the issuer or the upstream',
  'Rejection inside a 200, or with another status',
  'Token expires in the middle of a stream',
  'Body that cannot be sent twice',
  'Event loop stalls over the renewal point',
  'Stale connection to the issuer',
  'Shutdown during a renewal',
  'Hours without a request, then many',
  'Many sources that start together',
  'Refresh token that can be used once',
  'Client certificate is renewed',
  'A stored secret would go to another issuer',
];

const DOCUMENT = 'docs/tokens.md';
const BEGIN = '<!-- written by node scripts/failure-modes.ts -->';
const END = '<!-- end -->';

/** A title in the source, without quotes: `test('#3 ...'` and the `using('...')` of contracts. */
const TITLE = /\b(?:test|using)\(\s*(['"`])((?:#\d+ )+)((?:\\.|(?!\1).)+)\1/gs;

export interface ModeTest {
  readonly file: string;
  readonly title: string;
}

/** The tests of each mode, by its number; modes without one are missing. `root`: of the repository, with a slash. */
export function testsOfModes(root: string): ReadonlyMap<number, readonly ModeTest[]> {
  const found = new Map<number, ModeTest[]>();
  const files = globSync('test/{tokens,behaviour}/**/*.ts', { cwd: root }).map((file) =>
    file.replaceAll('\\', '/'),
  );
  for (const file of files.sort()) {
    for (const [, , numbers = '', title = ''] of readFileSync(root + file, 'utf8').matchAll(TITLE)) {
      // What a template fills in differs from run to run of a loop.
      const test = { file, title: title.replaceAll(/\$\{[^}]*\}/g, '…').replaceAll(/\\(['"`])/g, '$1') };
      for (const number of numbers.match(/\d+/g) ?? []) {
        found.set(Number(number), [...(found.get(Number(number)) ?? []), test]);
      }
    }
  }
  return found;
}

/** docs/tokens.md with the table as it should be now. */
export function withTable(root: string): string {
  const document = readFileSync(root + DOCUMENT, 'utf8');
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END, from);
  if (from < 0 || to < 0) throw new Error(`${DOCUMENT} has lost the marks of the table`);
  return `${document.slice(0, from)}${BEGIN}\n\n${table(root)}\n${document.slice(to)}`;
}

function table(root: string): string {
  const tests = testsOfModes(root);
  const rows = FAILURE_MODES.map((mode, index) => {
    const titles = (tests.get(index + 1) ?? []).map(
      ({ file, title }) => `${cell(title)} ([${name(file)}](../${file}))`,
    );
    return `| ${index + 1} | ${mode} | ${titles.join('<br>')} |\n`;
  });
  return `| # | What goes wrong | Tests |\n|---|---|---|\n${rows.join('')}`;
}

function name(file: string): string {
  return file.slice(file.lastIndexOf('/') + 1).replace(/(?:\.test)?\.ts$/, '');
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = fileURLToPath(new URL('../', import.meta.url));
  writeFileSync(root + DOCUMENT, withTable(root));
}
