import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { text as textOf } from 'node:stream/consumers';
import { describeFileError } from '../config/load/interpolation.ts';
import { CLIENT_KEY_VARIABLE, configurationText } from '../setup/configuration-text.ts';
import { IssuerTrial } from '../setup/issuer-trial.ts';
import { CurlError } from '../setup/shell-words.ts';
import { TokenSourceError } from '../tokens/sources/token-source.ts';
import { CommandFailure, readArguments, UsageError, withUsage } from './arguments.ts';
import { type Finding, printFinding } from './check-report.ts';
import { type ClientKey, clientKeyFor, describeAccess } from './client-key.ts';
import { environmentFileOf, UnwritableVariable, writeEnvironment } from './environment-file.ts';
import { tryConfiguration } from './trial.ts';

const USAGE = `usage: tokenferry init [--from-curl LINE] [--endpoint URL] [--output config.yaml] [--name corp] [--model NAME] [--force]

  --from-curl  the curl line, in quotes, with which you get a token; - reads it from standard input, @FILE from a file,
               so that its secrets are in no shell history and not in npm's output
  --endpoint   base URL of the upstream that takes the token, usually up to /v1
  --output     the configuration file that is written; its secrets go into the .env beside it
  --name       what the token source is called
  --model      the model of the chat that is tried
  --force      overwrites the configuration file, and adds to a .env that exists

What is missing is asked for. One or two tokens are obtained, and a few more when the upstream rejects them as Bearer; one
chat of a few tokens is sent.`;

/** Puts questions to a person. */
interface Questions {
  /** Resolves with the typed line; an empty question reads the rest of the previous answer. */
  ask(question: string): Promise<string>;
  close(): void;
}

interface InitSettings {
  readonly line: string;
  readonly endpoint: string;
  readonly output: string;
  readonly name: string;
  readonly model: string | null;
  readonly isForced: boolean;
}

/**
 * `tokenferry init`: from a curl line of the token endpoint to a configuration that was tried. Exit code 0: it works; 1: the
 * issuer gave no token, and nothing is written, or the upstream does not work, and the files are written for repair.
 */
export async function init(
  args: readonly string[],
  questions: Questions | null = terminalQuestions(),
  input: NodeJS.ReadableStream = process.stdin,
): Promise<number> {
  return withUsage(USAGE, async () => {
    const text = { type: 'string' } as const;
    const { values } = readArguments(args, {
      'from-curl': text,
      endpoint: text,
      output: { ...text, default: 'config.yaml' },
      name: { ...text, default: 'corp' },
      model: text,
      force: { type: 'boolean' },
    });
    const isForced = values.force === true;
    const output = resolve(values.output);
    if (!/^[A-Za-z]\w*$/.test(values.name)) throw new UsageError('--name must be letters, digits and _.');
    refuseExisting(output, isForced);
    let [line, endpoint] = [values['from-curl'], values.endpoint];
    try {
      line = line === undefined ? await askForCurl(questions) : await curlText(line, input);
      endpoint = baseUrl(endpoint ?? (await askForEndpoint(questions)));
    } finally {
      questions?.close();
    }
    const settings = { line, endpoint, output, name: values.name, model: values.model ?? null, isForced };
    try {
      return await new Init(settings).run();
    } catch (error) {
      if (error instanceof CurlError || error instanceof UnwritableVariable)
        throw new CommandFailure(2, error.message, error);
      if (error instanceof TokenSourceError) throw new CommandFailure(1, error.message, error);
      throw error;
    }
  });
}

/** Null: there is no terminal. */
function terminalQuestions(): TerminalQuestions | null {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
  return isTerminal ? new TerminalQuestions(process.stdin, process.stdout) : null;
}

/** Asks in a terminal. Lines that are pasted together are the answers to successive questions. */
export class TerminalQuestions implements Questions {
  readonly #input: NodeJS.ReadableStream;
  readonly #output: NodeJS.WritableStream;
  readonly #lines: string[] = [];
  #terminal: Interface | null = null;
  #onLine: ((line: string | null) => void) | null = null;
  #isEnded = false;

  constructor(input: NodeJS.ReadableStream, output: NodeJS.WritableStream) {
    this.#input = input;
    this.#output = output;
  }

  async ask(question: string): Promise<string> {
    const terminal = this.#open();
    this.#output.write(question);
    const line = this.#lines.shift() ?? (await this.#nextLine(terminal));
    if (line === null) throw new UsageError('cancelled: nothing was written.');
    return line;
  }

  close(): void {
    this.#terminal?.close();
  }

  #nextLine(terminal: Interface): Promise<string | null> {
    if (this.#isEnded) return Promise.resolve(null);
    terminal.setPrompt(PROMPT);
    terminal.prompt();
    return new Promise((resolved) => {
      this.#onLine = resolved;
    });
  }

  #open(): Interface {
    if (this.#terminal !== null) return this.#terminal;
    const terminal = createInterface({ input: this.#input, output: this.#output });
    terminal.on('line', (line) => {
      const onLine = this.#onLine;
      this.#onLine = null;
      if (onLine === null) this.#lines.push(line);
      else onLine(line);
    });
    terminal.on('close', () => {
      this.#isEnded = true;
      this.#onLine?.(null);
    });
    this.#terminal = terminal;
    return terminal;
  }
}

const PROMPT = '> ';

/** A line that ends in a backslash continues. */
async function askForCurl(questions: Questions | null): Promise<string> {
  if (questions === null)
    throw new UsageError("--from-curl is missing: the curl line with which you get a token, in ' quotes.");
  let line = await questions.ask('The curl line with which you get a token:\n');
  while (/\\\s*$/.test(line)) line = `${line.trimEnd()}\n${await questions.ask('')}`;
  return line;
}

/** `-`: standard input; `@FILE`: a file, as curl's own `-d`; else the line itself. */
async function curlText(line: string, input: NodeJS.ReadableStream): Promise<string> {
  if (line === '-') return textOf(input);
  if (!line.startsWith('@')) return line;
  try {
    return readFileSync(line.slice(1), 'utf8');
  } catch (error) {
    throw new CommandFailure(2, `--from-curl: cannot read ${line.slice(1)}: ${describeFileError(error)}`);
  }
}

function askForEndpoint(questions: Questions | null): Promise<string> {
  if (questions === null)
    throw new UsageError('--endpoint is missing: the base URL of the upstream, usually up to /v1.');
  return questions.ask('The base URL of the upstream that takes the token (https://llm.corp.example/v1):\n');
}

function baseUrl(text: string): string {
  const url = URL.parse(text.trim());
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new UsageError('--endpoint must be an http:// or https:// URL.');
  return text.trim();
}

function refuseExisting(output: string, isForced: boolean): void {
  if (isForced) return;
  for (const file of [output, environmentFileOf(output)]) {
    if (existsSync(file))
      throw new CommandFailure(2, `${file} exists. Name another file with --output, or use --force.`);
  }
}

/** Where issuers' tokens go when an upstream refuses them as `Authorization: Bearer`. */
const OTHER_PLACES = [
  // IBM Cloud Pak for Data (ZenApiKey, or as it is), home-grown gateways.
  { header: 'Authorization' },
  // Azure OpenAI and gateways in front of it.
  { header: 'api-key' },
  // Huawei Cloud.
  { header: 'X-Auth-Token' },
  // Baidu, WeChat.
  { query: 'access_token' },
  // Home-grown gateways.
  { header: 'X-Access-Token' },
  { header: 'token' },
] as const;

class Init {
  readonly #settings: InitSettings;

  constructor(settings: InitSettings) {
    this.#settings = settings;
  }

  async run(): Promise<number> {
    const { line, name } = this.#settings;
    const trial = new IssuerTrial(line, { name, env: process.env });
    const result = await trial.run();
    console.log(`${trial.request.method} ${trial.request.url}: status ${result.response.status}`);
    for (const shown of result.lines) console.log(`      ${shown}`);
    if (result.found === null) throw new CommandFailure(1, `${result.message}\nNothing was written.`);
    printFinding({ verdict: 'ok', text: result.message });
    const draft = trial.draft(result.found, result.response);
    for (const note of draft.notes) printFinding({ verdict: 'warn', text: note });
    return this.#finish(draft.source, draft.variables);
  }

  /** Tries the source with the upstream, writes both files and prints the next command. */
  async #finish(source: object, variables: ReadonlyMap<string, string>): Promise<number> {
    const { output, name, isForced } = this.#settings;
    const environment = environmentFileOf(output);
    const key = clientKeyFor(environment);
    const tried = await this.#tryOut(source, variables);
    for (const finding of tried.findings) printFinding(finding);
    const written = withClientKey(variables, key);
    if (written.size > 0) writeEnvironment(environment, written, { mayExist: isForced });
    writeFileSync(output, configurationText('`tokenferry init`', name, tried.config), {
      flag: isForced ? 'w' : 'wx',
    });
    const names = [...written.keys()].join(', ');
    console.log(
      `\nWritten: ${output}${names === '' ? '' : `\n         ${environment} (${names}), readable by you only`}`,
    );
    const isGood = tried.findings.every(({ verdict }) => verdict !== 'fail');
    const model = tried.findings.find((finding) => finding.model !== undefined)?.model ?? null;
    console.log(`\n${describeAccess(key, model)}\n`);
    console.log(`Next:    ${this.#nextCommand(isGood)}`);
    return isGood ? 0 : 1;
  }

  #nextCommand(isGood: boolean): string {
    const { output } = this.#settings;
    const file = output === resolve('config.yaml') ? '' : ` --config ${relative(process.cwd(), output)}`;
    const isNpm = process.env.npm_lifecycle_event === 'start';
    const command = (words: string) =>
      isNpm ? `npm start${words === '' ? '' : ` --${words}`}` : `tokenferry${words}`;
    return isGood
      ? `${command(file)}   starts the gateway`
      : `correct the lines that say FAIL, then ${command(` check --chat${file}`)}`;
  }

  /** The configuration that works, or the first one when none does. */
  async #tryOut(source: object, variables: ReadonlyMap<string, string>) {
    const first = this.#configOf(source, this.#settings.endpoint);
    let config = first;
    let findings = await this.#check(config, variables);
    const other = baseIn(findings);
    if (other !== null) {
      for (const finding of findings) if (finding.verdict === 'fail') printFinding(applied(finding, other));
      config = this.#configOf(source, other);
      findings = await this.#check(config, variables);
    }
    if (!areRefused(findings)) return { config, findings };
    for (const place of OTHER_PLACES) {
      const placed = this.#configOf({ ...source, place }, other ?? this.#settings.endpoint);
      const results = await this.#check(placed, variables);
      if (results.some(({ verdict }) => verdict === 'fail')) continue;
      const [[kind, where] = []] = Object.entries(place);
      printFinding({
        verdict: 'warn',
        text: `the upstream takes the token as ${kind} ${where}, not as Bearer`,
      });
      return { config: placed, findings: results };
    }
    return { config, findings };
  }

  #configOf(source: object, endpoint: string): object {
    const { name } = this.#settings;
    return { tokens: { [name]: source }, upstreams: [{ name: 'llm', endpoint, token: name }] };
  }

  #check(config: object, variables: ReadonlyMap<string, string>): Promise<Finding[]> {
    return tryConfiguration(config, variables, this.#settings.model);
  }
}

/** A failure that init has repaired: nothing is left to be set. */
function applied({ text }: Finding, endpoint: string): Finding {
  return { verdict: 'warn', text: `${text.replace(/\.? Set:$/, '')}: ${endpoint} is written instead` };
}

function areRefused(findings: readonly Finding[]): boolean {
  return findings.some(({ cause }) => cause === 'credentials');
}

/** The base URL that works in place of the given one. */
function baseIn(findings: readonly Finding[]): string | null {
  for (const { verdict, cause } of findings)
    if (verdict === 'fail' && typeof cause === 'object') return cause.base.replace(/\/$/, '');
  return null;
}

/** With the key of applications, unless the environment has it. */
function withClientKey(variables: ReadonlyMap<string, string>, { value, origin }: ClientKey) {
  return origin === 'environment' ? variables : new Map([...variables, [CLIENT_KEY_VARIABLE, value]]);
}
