import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { text as textOf } from 'node:stream/consumers';
import { describeFileError } from '../config/load/interpolation.ts';
import { formatYaml } from '../config/load/yaml-file.ts';
import { systemClock } from '../lib/clock.ts';
import { isJsonObject } from '../lib/json/json-object.ts';
import { Secret, SecretRegistry } from '../lib/secret.ts';
import { IssuerClient, type IssuerRequest, type IssuerResponse } from '../tokens/issuer/issuer-client.ts';
import { describeResponse, parseBody } from '../tokens/issuer/issuer-response.ts';
import { SourceErrors } from '../tokens/sources/source-errors.ts';
import { TokenSourceError } from '../tokens/sources/token-source.ts';
import { CommandFailure, readArguments, UsageError, withUsage } from './arguments.ts';
import { checkConnections } from './check.ts';
import { type Finding, printFinding } from './check-report.ts';
import { CLIENT_KEY_VARIABLE, type ClientKey, clientKeyFor, describeAccess } from './client-key.ts';
import { type CurlRequest, encodePairs, parseCurl } from './curl-line.ts';
import {
  environmentFileOf,
  environmentText,
  loadWithEnvironment,
  UnwritableVariable,
  writeEnvironment,
} from './environment-file.ts';
import { CurlError } from './shell-words.ts';
import { draftSource } from './source-draft.ts';
import { describeIssuerResponse, type FoundToken, findToken } from './token-finder.ts';

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

/** Before the issuer was called. */
const UNKNOWN_TOKEN: FoundToken = {
  tokenAt: '/access_token',
  value: '',
  expiresAt: null,
  lifetimeMs: null,
  isLocalTime: false,
  refreshInAt: null,
};
const CALL_TIMEOUT_MS = 30_000;
const PATIENCE_MS = 15_000;

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

/** Success codes of issuers that respond to errors with status 200: Feishu, DingTalk, home-grown ones. */
const SUCCESS_MEMBERS = ['code', 'errcode', 'error_code', 'errorCode', 'ret', 'success'];
/** `0`, `"0000"`, `200`, `true`. */
const SUCCESS_VALUE = /^(?:0+|200|true)$/;

class Init {
  readonly #settings: InitSettings;
  readonly #secrets = new SecretRegistry();
  /** Values of the curl line that came from variables of the environment. */
  readonly #fromVariables = new Map<string, string>();

  constructor(settings: InitSettings) {
    this.#settings = settings;
  }

  async run(): Promise<number> {
    const request = parseCurl(this.#settings.line, (name) => {
      const value = process.env[name];
      if (value !== undefined && value !== '') this.#fromVariables.set(value, name);
      return value;
    });
    // An issuer may repeat them in its errors.
    for (const value of this.#draft(request, UNKNOWN_TOKEN).variables.values())
      for (const part of [value, ...value.split(/[^\w+/=.~%-]+/)]) this.#secrets.add(part);
    const response = await this.#call(request);
    const found = findToken(response);
    const isOk = response.status >= 200 && response.status < 300;
    console.log(`${request.method} ${request.url}: status ${response.status}`);
    for (const line of describeIssuerResponse(response, isOk ? found : null))
      console.log(`      ${this.#secrets.scrub(line)}`);
    if (!isOk) throw this.#refused(response);
    if (found === null) throw noToken(response);
    this.#secrets.add(found.value);
    printFinding({ verdict: 'ok', text: describeFound(found) });
    const draft = this.#draft(request, found, successOf(response));
    const zoneNotes = found.isLocalTime ? [LOCAL_TIME_NOTE] : [];
    for (const note of [...zoneNotes, ...describeRequest(request), ...draft.notes])
      printFinding({ verdict: 'warn', text: note });
    return this.#finish(draft.source, draft.variables);
  }

  #draft(
    request: CurlRequest,
    found: FoundToken,
    success: Readonly<Record<string, string | number | boolean>> = {},
  ) {
    const { name } = this.#settings;
    const variables = this.#fromVariables;
    return draftSource(request, found, { name, env: process.env, variables, nowMs: Date.now(), success });
  }

  /** As curl would call it. */
  async #call(request: CurlRequest): Promise<IssuerResponse> {
    const { tls, proxy } = request;
    const files = { ca: tls.ca, cert: tls.cert, key: tls.cert === null ? null : (tls.key ?? tls.cert) };
    const given = Object.fromEntries(Object.entries(files).filter(([, file]) => file !== null));
    const client = new IssuerClient({
      source: this.#settings.name,
      field: 'curl line',
      connection: {
        tls: {
          ...(given as Record<string, string>),
          ...(tls.passphrase === null ? {} : { passphrase: new Secret(tls.passphrase) }),
        },
        ...(proxy === null ? {} : { proxy }),
      },
      baseDir: process.cwd(),
    });
    const context = { signal: AbortSignal.timeout(CALL_TIMEOUT_MS), clock: systemClock };
    try {
      return await client.call((send) => send(issuerRequest(request)), context);
    } finally {
      await client.close();
    }
  }

  #refused(response: IssuerResponse): CommandFailure {
    const { name } = this.#settings;
    if (response.status >= 300 && response.status < 400) {
      const target = URL.parse(String(response.headers.location ?? ''));
      const where = target === null ? '' : ` to ${target.origin}${target.pathname}`;
      return new CommandFailure(
        1,
        `${name}: the issuer redirects${where}, which is not followed. Use the URL that it redirects to.`,
      );
    }
    const error = new SourceErrors(name, this.#secrets).refused('curl line', response);
    return new CommandFailure(1, `${error.message}\nNothing was written.`, error);
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
    writeFileSync(output, configText(name, tried.config), { flag: isForced ? 'w' : 'wx' });
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

  /** From files, as every command reads it. */
  async #check(config: object, variables: ReadonlyMap<string, string>): Promise<Finding[]> {
    const folder = mkdtempSync(join(tmpdir(), 'tokenferry-init-'));
    try {
      const file = join(folder, 'config.yaml');
      writeFileSync(file, formatYaml(config), { mode: 0o600 });
      writeFileSync(join(folder, '.env'), environmentText(variables), { mode: 0o600 });
      const { model } = this.#settings;
      return await checkConnections(loadWithEnvironment(file), {
        patienceMs: PATIENCE_MS,
        isChatAsked: true,
        model,
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
}

function issuerRequest({ method, url, query, headers, body, basic }: CurlRequest): IssuerRequest {
  const sent: Record<string, string> = {};
  for (const [name, value] of headers) sent[name.toLowerCase()] = rendered(value);
  if (basic !== null) {
    const pair = Buffer.from(`${basic.username}:${basic.password}`).toString('base64');
    sent.authorization = `Basic ${pair}`;
  }
  const search =
    query.length === 0 ? '' : `?${encodePairs(query.map(([name, value]) => [name, rendered(value)]))}`;
  return { method, url: `${url}${search}`, headers: sent, body: body === null ? null : rendered(body) };
}

/** The replacement of a command of the line, which a shell would have run. */
function rendered(text: string): string {
  return text
    .replaceAll('{{uuid}}', () => randomUUID())
    .replaceAll('{{now_s}}', () => String(Math.floor(Date.now() / 1000)))
    .replaceAll('{{now_ms}}', () => String(Date.now()));
}

function describeRequest({ isMultipart, isInsecure }: CurlRequest): string[] {
  const notes: string[] = [];
  if (isMultipart)
    notes.push('the multipart form (-F) is sent as an urlencoded one, which this issuer takes.');
  if (isInsecure)
    notes.push('-k was left out: certificates are always checked. tls.ca names the authority to trust.');
  return notes;
}

const LOCAL_TIME_NOTE =
  'its end is a local time without a zone, read in that of this machine: if the lifetime is hours off, set the zone of the issuer, expires_at: { zone: "+08:00" }.';

function describeFound({ tokenAt, expiresAt, lifetimeMs }: FoundToken): string {
  const life =
    lifetimeMs === null
      ? 'its lifetime is not stated, 240 s are assumed (default_ttl)'
      : `it lives ${inWholeSeconds(lifetimeMs)} s${expiresAt === null ? '' : ` (${expiresAt})`}`;
  return `the token is at ${tokenAt}, ${life}`;
}

/** Ends are stated in whole seconds by clocks that differ a little: 301 s and 299 s are 300 s. */
function inWholeSeconds(ms: number): number {
  const tens = Math.round(ms / 10_000) * 10;
  return Math.abs(ms / 1000 - tens) < 2 ? tens : Math.round(ms / 1000);
}

function noToken(response: IssuerResponse): CommandFailure {
  const what = describeResponse(response, parseBody(response));
  return new CommandFailure(1, `no token was found in the response: ${what}.\nNothing was written.`);
}

function successOf(response: IssuerResponse): Record<string, string | number | boolean> {
  const body = parseBody(response);
  const json = body.kind === 'json' && isJsonObject(body.value) ? body.value : {};
  for (const member of SUCCESS_MEMBERS) {
    const value = json[member];
    if (typeof value === 'object' || value === undefined || !SUCCESS_VALUE.test(String(value))) continue;
    return { [`/${member}`]: value === '0' ? 0 : (value as string | number | boolean) };
  }
  return {};
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

function configText(name: string, config: object): string {
  return `# Written by \`tokenferry init\`. Every key: docs/configuration.md; more about tokens.${name}: docs/tokens.md.
# What applications send as their API key. With a key, port 8888 of every interface is listened on.
authorization: "\${${CLIENT_KEY_VARIABLE}}"
${formatYaml(config)}`;
}
