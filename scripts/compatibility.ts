/** `node scripts/compatibility.ts`: writes docs/compatibility.md from the vectors, the results of the clients, and the titles of tests. */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { REPAIRS } from '../src/openai/vendors/repairs.ts';
import { CLIENTS, type Client } from '../test/clients/clients.ts';
import { type ClientResult, RESULTS } from '../test/clients/results.ts';
import { CHOICES_VECTORS } from '../test/clients/vectors/choices.ts';
import { EMBEDDINGS_VECTORS } from '../test/clients/vectors/embeddings.ts';
import { FAULT_VECTORS, STREAM_VECTORS, WHOLE_VECTORS } from '../test/clients/vectors.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

const PREAMBLE = `# Compatibility

Written by \`npm run test:clients -- --write\`; do not edit. After a change of test titles alone,
\`node scripts/compatibility.ts\` is enough, and a test fails when the page is out of date.

Unmodified clients parse each response below through a running tokenferry whose upstream sends it in the form that the
row names. They must have the same text, reasoning, tool calls, finish reason and usage as when they parse the response of a
conforming upstream without tokenferry, with and without requested usage; and they must raise each fault with its status and
message, after the text that was sent before it.
`;

const REPAIRS_PREAMBLE = `Changes that a response needed before clients could parse it. Each is counted once per response in
\`tokenferry_repairs_total{upstream,repair}\`, logged at \`debug\` the first time for each upstream, and reported by
\`tokenferry check\` if its probe needed it.
`;

const LEGEND = `**✓** parsed correctly · **●** parsed correctly, but not without tokenferry · **–** not tested in this form
`;

interface Titled {
  readonly title: string;
  readonly file: string;
}

/** The whole page. */
export function compatibilityPage(): string {
  const results = resultsOf();
  const chats = [
    ...new Map(
      [...STREAM_VECTORS, ...WHOLE_VECTORS, ...CHOICES_VECTORS].map((one) => [one.name, one]),
    ).values(),
  ];
  return [
    PREAMBLE,
    `## Clients\n\n${clientTable(results)}`,
    `## Responses\n\n${LEGEND}\n${matrix(chats, results)}`,
    `## Embeddings\n\n${LEGEND}\n${matrix(EMBEDDINGS_VECTORS, results)}`,
    `## Faults\n\n${faultTable()}`,
    `## Repairs\n\n${REPAIRS_PREAMBLE}\n${repairTable()}`,
    '## Numbers and their tests\n',
    'S numbers are what clients need, Q numbers what upstreams send. One number may have many tests.\n',
    numberTable('S'),
    numberTable('Q'),
  ].join('\n');
}

function repairTable(): string {
  return table(
    ['Repair', 'What the upstream sends'],
    Object.entries(REPAIRS).map(([name, description]) => `| \`${name}\` | ${description} |`),
  );
}

function resultsOf(): Map<string, ClientResult> {
  const files = globSync('*.json', { cwd: RESULTS }).sort();
  const all = files.map((file) => JSON.parse(readFileSync(`${RESULTS}/${file}`, 'utf8')) as ClientResult);
  return new Map(all.map((one) => [one.client, one]));
}

/** Columns are letters, so that the matrix is not wider than a page. */
function letterOf(position: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + position);
}

function clientTable(results: Map<string, ClientResult>): string {
  const rows = CLIENTS.map(({ name }, position) => {
    const result = results.get(name);
    const read = Object.values(result?.columns ?? {}).reduce((sum, count) => sum + count, 0);
    const ways = Object.keys(result?.columns ?? {}).join('; ');
    const wrong = Object.keys(result?.unaided ?? {}).length;
    return `| ${letterOf(position)} | ${name} | ${result?.version ?? ''} | ${ways} | ${read} of ${read} | ${wrong} |`;
  });
  return table(['', 'Client', 'Version', 'Modes', 'Correct', 'Misparsed without tokenferry'], rows);
}

interface Row {
  readonly name: string;
  readonly quirks: readonly string[];
}

function matrix(vectors: readonly Row[], results: Map<string, ClientResult>): string {
  const rows = vectors.map(({ name, quirks }) => {
    const cells = CLIENTS.map((client) => cell(name, client, results.get(client.name)));
    return `| ${name} | ${quirks.join(' ')} | ${cells.join(' | ')} |`;
  });
  return table(['Upstream', 'Number', ...CLIENTS.map((_, position) => letterOf(position))], rows);
}

/** The tests fail unless every result is correct, so a cell shows only whether it was tested and whether it needed a repair. */
function cell(vector: string, client: Client, result: ClientResult | undefined): string {
  const isRead =
    (STREAM_VECTORS.some(({ name }) => name === vector) && client.streams.length > 0) ||
    (WHOLE_VECTORS.some(({ name }) => name === vector) && client.wholes.length > 0) ||
    (CHOICES_VECTORS.some(({ name }) => name === vector) && client.choices !== undefined) ||
    (EMBEDDINGS_VECTORS.some(({ name }) => name === vector) && client.embeds.length > 0);
  if (!isRead || result === undefined) return '–';
  return vector in result.unaided ? '●' : '✓';
}

function faultTable(): string {
  const rows = FAULT_VECTORS.map(({ name, quirks, expect, only }) => {
    const shown = expect.status === null ? 'error event' : String(expect.status);
    const form = only === undefined ? 'stream and whole' : only;
    return `| ${name} | ${quirks.join(' ')} | ${form} | ${shown} | ${expect.code ?? ''} |`;
  });
  return table(['Upstream', 'Number', 'Asked for', 'Every client gets', 'Code'], rows);
}

function table(heads: readonly string[], rows: readonly string[]): string {
  return `| ${heads.join(' | ')} |\n|${heads.map(() => '---').join('|')}|\n${rows.join('\n')}\n`;
}

/** Every number that a test title or a vector names, with the titles; vectors stand for the tests of the clients. */
function numberTable(kind: 'S' | 'Q'): string {
  const byNumber = new Map<string, string[]>();
  const note = (number: string, text: string) =>
    byNumber.set(number, [...(byNumber.get(number) ?? []), text]);
  for (const { title, file } of titles()) {
    for (const number of numbersIn(title, kind)) note(number, `${file}: ${withoutNumbers(title)}`);
  }
  const vectors = [
    ...STREAM_VECTORS,
    ...WHOLE_VECTORS,
    ...CHOICES_VECTORS,
    ...EMBEDDINGS_VECTORS,
    ...FAULT_VECTORS,
  ];
  const named = new Map(vectors.map((one) => [one.name, one.quirks]));
  for (const [name, quirks] of named) {
    for (const number of quirks) if (number.startsWith(kind)) note(number, `clients: ${name}`);
  }
  const numbers = [...byNumber.keys()].sort((one, other) => orderOf(one) - orderOf(other));
  const rows = numbers.map(
    (number) => `| ${number} | ${(byNumber.get(number) ?? []).map(escaped).join('<br>')} |`,
  );
  return table([kind === 'S' ? 'Statement' : 'Quirk', 'Tests'], rows);
}

function titles(): Titled[] {
  const patterns = ['test/**/*.test.ts', 'test/clients/client-suite.ts'];
  const files = globSync(patterns, { cwd: root, exclude: ['**/node_modules/**', '**/.venv/**'] });
  return files.sort().flatMap((file) => {
    const text = readFileSync(`${root}/${file}`, 'utf8');
    const found = [...text.matchAll(/\btest(?:\w*Fault)?\(\s*(['"`])((?:\\.|(?!\1)[^\\])*)\1/g)];
    const short = file.replace(/^test\//, '').replace(/\.test\.ts$/, '');
    return found.map(([, , title = '']) => ({ title: readable(title), file: short }));
  });
}

function readable(title: string): string {
  return title.replaceAll(/\$\{[^}]*\}/g, '…').replaceAll(/\\(.)/g, '$1');
}

/** The numbers at the start of a title: `S25-S35 Q12 …`. */
function numbersIn(title: string, kind: 'S' | 'Q'): string[] {
  const [start = ''] = /^(?:[SQ]\d+[a-c]?(?:-[SQ]?\d+)?[ ,]*)+/.exec(title) ?? [];
  return [...start.matchAll(/([SQ])(\d+)([a-c]?)(?:-[SQ]?(\d+))?/g)].flatMap(
    ([, letter, from, suffix, to]) => {
      if (letter !== kind) return [];
      const last = Number(to ?? from);
      return Array.from(
        { length: last - Number(from) + 1 },
        (_, step) => `${kind}${Number(from) + step}${suffix}`,
      );
    },
  );
}

function withoutNumbers(title: string): string {
  return title.replace(/^(?:[SQ]\d+[a-c]?(?:-[SQ]?\d+)?[ ,]*)+/, '');
}

function orderOf(number: string): number {
  const [, digits = '0', suffix = ''] = /(\d+)([a-c]?)/.exec(number) ?? [];
  return Number(digits) + (suffix === '' ? 0 : suffix.charCodeAt(0) / 1000);
}

function escaped(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('../docs/compatibility.md', import.meta.url), compatibilityPage());
}
