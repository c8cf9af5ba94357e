import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));

/** One client as the matrix knows it: a program, and the ways in which it reads. */
export interface Client {
  readonly name: string;
  readonly command: readonly string[];
  /** Ways of the program by what they read. */
  readonly streams: readonly string[];
  readonly wholes: readonly string[];
  readonly embeds: readonly string[];
  /** Of several choices: how a stream of them is read, and how a whole reply. */
  readonly choices?: { readonly stream: string; readonly whole: string };
  readonly models?: string;
  /** Whether the application decides if usage is asked for. */
  readonly usage: 'choice' | 'always' | 'never';
  /** The installed package whose version the matrix shows. */
  readonly installed: { readonly kind: 'npm' | 'main' | 'llamaindex'; readonly package: string } | null;
}

/** Clients that run on Node, and those that run on Python: two suites, side by side. */
export type Platform = 'node' | 'python';

export function platformOf({ command }: Client): Platform {
  return command[0] === process.execPath ? 'node' : 'python';
}

const node = (program: string, ...args: readonly string[]) => [
  process.execPath,
  join(folder, 'node', program),
  ...args,
];

const python = (environment: string, program: string) => [
  join(folder, '.venv', environment, 'bin', 'python'),
  join(folder, 'python', program),
];

const OPENAI_WAYS = {
  streams: ['iterator', 'helper'],
  wholes: ['whole'],
  embeds: ['embed', 'embed-float', 'embed-base64'],
  choices: { stream: 'choices-stream', whole: 'choices' },
  models: 'models',
  usage: 'choice',
} as const;

const openaiNode = (version: string): Client => ({
  name: `openai-node ${version}`,
  command: node('openai-client.ts', `openai-${version}`),
  ...OPENAI_WAYS,
  installed: { kind: 'npm', package: `openai-${version}` },
});

const openaiPython = (name: string, environment: 'main' | 'llamaindex'): Client => ({
  name,
  command: python(environment, 'openai_client.py'),
  ...OPENAI_WAYS,
  installed: { kind: environment, package: 'openai' },
});

export const CLIENTS: readonly Client[] = [
  ...['latest', '6.9.0', '5.23.2', '4.95.1', '4.61.0'].map(openaiNode),
  {
    name: 'AI SDK, openai-compatible',
    command: node('ai-sdk-client.ts'),
    streams: ['stream'],
    wholes: ['whole'],
    embeds: ['embed'],
    usage: 'choice',
    installed: { kind: 'npm', package: '@ai-sdk/openai-compatible' },
  },
  {
    name: 'AI SDK, openai chat',
    command: node('ai-sdk-client.ts', '@ai-sdk/openai'),
    streams: ['stream'],
    wholes: ['whole'],
    embeds: ['embed'],
    usage: 'always',
    installed: { kind: 'npm', package: '@ai-sdk/openai' },
  },
  {
    name: 'LangChain.js',
    command: node('langchain-client.ts'),
    streams: ['stream'],
    wholes: ['whole'],
    embeds: ['embed'],
    usage: 'choice',
    installed: { kind: 'npm', package: '@langchain/openai' },
  },
  openaiPython('openai-python', 'main'),
  openaiPython('openai-python 2', 'llamaindex'),
  {
    name: 'LangChain Python',
    command: python('main', 'langchain_client.py'),
    streams: ['stream'],
    wholes: ['whole'],
    embeds: ['embed'],
    usage: 'choice',
    installed: { kind: 'main', package: 'langchain_openai' },
  },
  {
    name: 'LlamaIndex',
    command: python('llamaindex', 'llamaindex_client.py'),
    streams: ['stream'],
    wholes: ['whole'],
    embeds: ['embed'],
    usage: 'choice',
    installed: { kind: 'llamaindex', package: 'llama_index_llms_openai_like' },
  },
  {
    name: 'Dify SDK',
    command: python('main', 'dify_client.py'),
    streams: ['stream'],
    wholes: ['whole'],
    embeds: ['embed'],
    usage: 'always',
    installed: { kind: 'main', package: 'dify_plugin' },
  },
  {
    name: 'RAGFlow patterns, Python',
    command: python('main', 'ragflow_client.py'),
    streams: ['stream'],
    wholes: [],
    embeds: ['embed'],
    models: 'models',
    usage: 'never',
    installed: null,
  },
  {
    name: 'RAGFlow patterns, Go',
    command: node('ragflow-go-client.ts'),
    streams: ['stream'],
    wholes: [],
    embeds: ['embed'],
    models: 'models',
    usage: 'always',
    installed: null,
  },
];

export function clientCalled(name: string): Client {
  const client = CLIENTS.find((one) => one.name === name);
  if (client === undefined) throw new Error(`no client called ${name}`);
  return client;
}

/** The client with another program in the place of its own: the same environment, the same arguments. */
export function withProgram(client: Client, program: string): Client {
  const [interpreter = '', path = '', ...args] = client.command;
  return { ...client, command: [interpreter, join(dirname(path), program), ...args] };
}

/** The version that is installed; throws with what to do when it is not. */
export function versionOf({ name, installed }: Client): string {
  if (installed === null) return 'as described';
  const { kind, package: wanted } = installed;
  const pattern =
    kind === 'npm'
      ? `node_modules/${wanted}/package.json`
      : `.venv/${kind}/lib/python3*/site-packages/${wanted}-*.dist-info/METADATA`;
  const [file] = globSync(pattern, { cwd: folder });
  if (file === undefined) throw new Error(`${name} is not installed: npm run install:clients`);
  const text = readFileSync(join(folder, file), 'utf8');
  return /^(?:Version: |\s*"version": ")([^"\n]+)/m.exec(text)?.[1] ?? 'unknown';
}

/** The tokenizer files that LlamaIndex ships, so that nobody fetches them from the internet. */
export function clientEnvironment(): Record<string, string> {
  const shipped = '.venv/llamaindex/lib/python3*/site-packages/llama_index/core/_static/tiktoken_cache';
  const [cache] = globSync(shipped, { cwd: folder });
  return {
    ...(cache === undefined ? {} : { TIKTOKEN_CACHE_DIR: join(folder, cache) }),
    NO_PROXY: '127.0.0.1',
    PYTHONWARNINGS: 'ignore',
  };
}
