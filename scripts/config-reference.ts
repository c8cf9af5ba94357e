/** `node scripts/config-reference.ts`: writes docs/configuration.md from the schema of the configuration. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { NOT_BUILT_YET } from '../src/config/rules/not-built-yet.ts';
import { configSchema } from '../src/config/schema/schema.ts';
import { keyFacts, schemaNode, typeOf } from '../src/config/schema/schema-walk.ts';

type Schema = Parameters<typeof schemaNode>[0];
type Entry = readonly [key: string, schema: Schema];

const PREAMBLE = `# Configuration

Written by \`node scripts/config-reference.ts\` from the schema in \`src/config\`; do not edit.
\`config.sample.yaml\` shows every section in use, \`tokenferry schema\` prints the JSON Schema for editors, and
\`tokenferry check\` finds every mistake in a file at once.

**The file**: \`--config FILE\`, else \`./config.yaml\`, else \`/config.yaml\`. YAML 1.2, one document.

**Durations** are seconds as a number, or \`500ms\`, \`30s\`, \`5m\`, \`2h\`, \`30d\`.
**Sizes** are bytes as a number, or \`64KiB\`, \`8MiB\`, \`1GiB\`.
**Statuses** are numbers and ranges such as \`"520-529"\`.
**Text** is taken as it is written: \`sk: 0123\` is the text 0123. An empty value counts as absent.
**Secrets** are text that is never printed.

**Values from elsewhere**: \`\${NAME}\`, \`\${NAME:-default}\` and \`\${file:/path}\` (one trailing newline trimmed) are
replaced once in values, never in keys and never in a replaced value; \`$\${\` is a literal \`\${\`. Quote them inside
\`{ }\` and \`[ ]\`. A variable that is not set is an error, unless it has a default. A value that is replaced below \`tokens\`,
\`upstreams\`, \`authorization\`, \`clients\`, \`notify\`, \`dbaddr\`, \`shared\` and \`admin\` counts as a secret: it is redacted
wherever it would be printed.

**Variables in a file**: a \`.env\` beside the configuration file (lines \`NAME=value\`, quotes as in a shell) is read by \`npm start\` and
every command, and again on reload. The environment of the process wins. \`tokenferry init\` writes one, readable by its owner only.

**Names of files** that are read (certificates, \`\${file:...}\`, \`path\`, \`module\`) are relative to the configuration
file; those that are written (\`dbaddr\`, \`log.file\`) to the working directory.

**Proxies**: connections go out directly unless \`proxy\` of the upstream or of the token source says otherwise. With
\`environment\` the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY decide, in small letters first. NO_PROXY is a list of
\`host\` and \`.host\` (it and all below it), \`*.host\` (all below it), addresses, networks such as \`10.0.0.0/8\` (for
addresses only, no name is looked up), each also as \`host:port\` (IPv6 then in brackets), and \`*\` for everything.

**Files of openai-api-route** work as they are. A file is read as one when all its keys, at the top and in upstreams, are
keys of openai-api-route: then 0 and empty texts at the top mean the default, as there. Unknown keys are errors in any file.
openai-api-route kept request and response bodies; to keep them here add \`record: { content: all }\`.

**Reload**: on SIGHUP, and when the file or a file that it names changes, the configuration is loaded again: checked whole,
then used from the next request on. Running requests finish on the old one; token sources that did not change keep their
tokens, upstreams their health and connections, clients what they used of their limits. A bad file, or one without any
usable upstream, changes nothing and is reported in the log, in \`/readyz\` and in \`tokenferry_config_reload_total\`. Changes of
\`address\`, \`tls\`, \`workers\`, \`dbtype\`, \`dbaddr\`, \`record\`, \`log\` (its level excepted), \`notify\`, \`tracing\`, \`admin\` and
\`limits.header_bytes\` take effect at the next start; the log names them with the value in use and the configured one, but for secrets.

A token source of which only the credentials changed (\`client_secret\`, a password, a key in \`headers\` or in a body, in the file, the
\`.env\` or a secret's file) is called with the new ones at once, and its present token is used until they have given another or it
expires: a wrong secret that is saved fails no request for so long, and the log and \`degraded\` name it. Another issuer
(\`token_url\`, \`url\`), \`client_id\`, user name, scope or parameter makes another source: its tokens may be of another account or
environment, so the previous token is dropped and requests wait for the new one. A source that fails is called at once on every reload.

**Mounted configuration**: mount the folder, not the file.

| Mount | A changed file is seen |
|---|---|
| a folder on the host (\`-v "$PWD/conf:/conf:ro"\`, then \`--config /conf/config.yaml\`) | at once |
| a Kubernetes ConfigMap or Secret as a volume (a folder) | when the kubelet has swapped it, within about a minute |
| a single file (\`-v ./config.yaml:/config.yaml:ro\`, Compose's \`configs\`) | only when the file itself is written to; editors, \`mv\`, \`git\` and \`sed -i\` put another file in its place, and the container keeps the old one until it is started again |
| Kubernetes \`subPath\` | never |
| a network file system | within 2 s of when its client sees it: there are no notifications, so the files are looked at every 2 s |

SIGHUP loads what is mounted, so it does not help with a single file that was replaced; when a reload changed nothing the log says so.
The \`.env\` beside the file and everything in \`\${file:...}\` are watched too: mount secrets as a folder as well, and name them
\`\${file:/run/secrets/llm/client-secret}\`. Variables of the container's environment are fixed until its next start.

Keys marked *not built yet* are known, and only their default works.
`;

/** The whole page. */
export function configReference(): string {
  const entries = entriesOf(configSchema);
  const plain = entries.filter(([, schema]) => keyFacts(schema).kind !== null);
  const sections = entries.filter(([, schema]) => keyFacts(schema).kind === null);
  return [
    PREAMBLE,
    '## Top level\n',
    table(plain, ''),
    ...sections.map(
      ([key, schema]) => `## ${key}\n\n${keyFacts(schema).description}\n\n${section(key, schema)}`,
    ),
  ].join('\n');
}

function section(key: string, schema: Schema): string {
  const node = schemaNode(schema);
  if (node.item === null) return table(entriesOf(schema), `${key}.`);
  const item = schemaNode(node.item);
  return item.variants.length === 0 ? table(entriesOf(node.item), `${key}[].`) : variants(key, item.variants);
}

/** Sources of tokens: the keys that all of them have once, then each with its own. */
function variants(key: string, all: readonly Schema[]): string {
  const [first = [], ...others] = all.map(entriesOf);
  const common = first.filter(([name, schema]) =>
    others.every((entries) => entries.some((entry) => entry[0] === name && entry[1] === schema)),
  );
  const commonNames = new Set(common.map(([name]) => name));
  const own = all.map((variant) => {
    const type = typeOf(schemaNode(variant)) ?? '';
    const entries = entriesOf(variant).filter(([name]) => name !== 'type' && !commonNames.has(name));
    return `### type: ${type}\n\n${keyFacts(variant).description}\n\n${table(entries, `${key}.*.`)}`;
  });
  return [`### Every source\n\n${table(common, `${key}.*.`)}`, ...own].join('\n');
}

function entriesOf(schema: Schema): Entry[] {
  return Object.entries(schemaNode(schema).shape ?? {});
}

function table(entries: readonly Entry[], prefix: string): string {
  const rows = entries.flatMap(([key, schema]) => rowsOf(key, schema, prefix));
  return `| Key | Type | Default | Meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

/** One row, or the rows of the keys inside. */
function rowsOf(key: string, schema: Schema, prefix: string): string[] {
  const { description, kind, fallback } = keyFacts(schema);
  const inner = entriesOf(schema);
  if (kind === null && inner.length > 0) {
    const head = `| \`${key}\` | mapping | | ${cell(description)} |`;
    return [head, ...inner.flatMap(([name, child]) => rowsOf(`${key}.${name}`, child, prefix))];
  }
  const text = cell(`${description}${notBuilt(prefix + key)}`);
  return [`| \`${key}\` | ${cell(kind ?? '')} | ${shown(fallback)} | ${text} |`];
}

function notBuilt(path: string): string {
  const found = NOT_BUILT_YET.find((one) => one.path === path);
  return found === undefined ? '' : ` *Not built yet: ${found.what}.*`;
}

function shown(fallback: unknown): string {
  if (fallback === undefined) return '*required*';
  return fallback === null
    ? ''
    : `\`${cell(typeof fallback === 'string' ? fallback || '""' : JSON.stringify(fallback))}\``;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL('../docs/configuration.md', import.meta.url), configReference());
}
