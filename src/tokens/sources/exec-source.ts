import { type ChildProcess, type ChildProcessByStdio, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { resolvePointer } from '../../lib/json/json-pointer.ts';
import { Secret } from '../../lib/secret.ts';
import { settingsKey } from '../../lib/settings-key.ts';
import { decodeText } from '../../lib/text/decode-text.ts';
import type { ExpiresAtSettings, ExpiryHint } from '../expiry/expiry.ts';
import { describeValue } from '../issuer/issuer-response.ts';
import { pointedValues, rawToken } from './raw-token.ts';
import { SourceErrors } from './source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from './token-source.ts';

/** What a command prints. `auto` recognises it; `text` is the bare token; the others are known forms of JSON. */
type ExecFormat = 'auto' | 'text' | 'json' | 'exec_credential' | 'az' | 'gcloud' | 'gcp_executable';

/** A token that a program prints. No shell is involved: `[sh, -c, "..."]` makes one. */
export interface ExecSettings {
  readonly type: 'exec';
  readonly command: readonly string[];
  /** 30 s by default. After it the program and all its children are killed. */
  readonly timeoutMs?: number;
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string | Secret>>;
  readonly cwd?: string;
  readonly format?: ExecFormat;
  /** JSON pointer to the token, for `json`. */
  readonly tokenAt?: string;
  /** Further values of the JSON: name to JSON pointer. */
  readonly extra?: Readonly<Record<string, string>>;
  /** Where its expiry is in the JSON; `header` has no meaning here. */
  readonly expiresAt?: ExpiresAtSettings;
}

const DEFAULT_TIMEOUT_MS = 30_000;
/** The input of kubectl credential plugins (client.authentication.k8s.io). */
const EXEC_INFO = JSON.stringify({
  apiVersion: 'client.authentication.k8s.io/v1',
  kind: 'ExecCredential',
  spec: { interactive: false },
});

/** A token that a program prints. One instance runs at a time: credential programs lock files and rotate secrets. */
export class ExecSource implements TokenSource {
  readonly kind = 'exec';
  readonly key: string;
  readonly #settings: ExecSettings;
  readonly #timeoutMs: number;
  readonly #cwd: string;
  readonly #errors: SourceErrors;
  /** Settles when the last program that was started has exited. */
  #running: Promise<unknown> = Promise.resolve();

  constructor(name: string, settings: ExecSettings, deps: SourceDeps) {
    this.#settings = settings;
    this.#timeoutMs = settings.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#cwd = settings.cwd === undefined ? process.cwd() : resolve(deps.baseDir ?? '.', settings.cwd);
    this.#errors = new SourceErrors(name, deps.secrets);
    this.key = settingsKey(settings);
    if (settings.command[0] === undefined || settings.command[0] === '') {
      throw this.#errors.misconfigured('command', 'must not be empty');
    }
  }

  async acquire({ signal, clock }: AcquireContext): Promise<RawToken> {
    const previous = this.#running;
    const run = previous.then(() => this.#run(signal));
    this.#running = run.catch(() => {});
    const result = await run;
    this.#check(result, signal);
    const { value, hints, json } = parseOutput(this.#errors, this.#settings, result.stdout);
    return rawToken(this.#errors, {
      field: 'command',
      value,
      hints,
      nowWallMs: clock.wallMs(),
      ...pointedValues(this.#errors, json, this.#settings.extra),
    });
  }

  async #run(signal: AbortSignal): Promise<ExecResult> {
    // It may have waited for the previous run.
    if (signal.aborted) throw this.#errors.transient('command', 'not started before the attempt was aborted');
    const { command, env = {} } = this.#settings;
    const own = Object.entries(env).map(([name, value]) => [
      name,
      value instanceof Secret ? value.reveal() : value,
    ]);
    try {
      return await runProgram({
        command,
        cwd: this.#cwd,
        env: { ...process.env, KUBERNETES_EXEC_INFO: EXEC_INFO, ...Object.fromEntries(own) },
        signal: AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]),
      });
    } catch (error) {
      const code = errorCodeOf(error) ?? 'unknown error';
      throw this.#errors.misconfigured('command', `cannot start ${command[0]} (${code})`);
    }
  }

  #check({ end, exitCode, stderr }: ExecResult, signal: AbortSignal): void {
    if (end === 'too_much_output')
      throw this.#errors.transient('command', `killed: it printed more than ${MAX_STDOUT / 1024} KiB`);
    if (end === 'aborted') {
      const when = signal.aborted ? 'before the attempt was aborted' : `within ${this.#timeoutMs / 1000} s`;
      throw this.#errors.transient('command', `killed: it did not exit ${when}`);
    }
    if (exitCode === 0) return;
    const quoted = this.#errors.quote(stderr, 'end');
    const how = exitCode === null ? 'killed by a signal' : `exit code ${exitCode}`;
    throw this.#errors.transient('command', `${how}${quoted === '' ? '' : `: "${quoted}"`}`);
  }
}

/** How a program ended and what it printed. */
interface ExecResult {
  readonly stdout: string;
  /** The last part of what it wrote to stderr. */
  readonly stderr: string;
  /** Null: it was killed. */
  readonly exitCode: number | null;
  readonly end: 'exit' | 'aborted' | 'too_much_output';
}

const MAX_STDOUT = 256 * 1024;
const MAX_STDERR_KEPT = 2_048;
/** A program that has exited may leave children that hold its pipes open; what it wrote arrives within this. */
const PIPE_GRACE_MS = 100;

/**
 * Runs a program in a process group of its own, so that killing it kills its children. Never outlives its signal;
 * rejects only when the program cannot be started.
 */
function runProgram({
  command: [program = '', ...args],
  cwd,
  env,
  signal,
}: {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
}): Promise<ExecResult> {
  const child = spawn(program, args, {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    windowsHide: true,
  });
  return new Promise((resolve, reject) => {
    let end: ExecResult['end'] = 'exit';
    let exitCode: number | null = null;
    let grace: NodeJS.Timeout | undefined;
    const stop = (why: ExecResult['end']) => {
      if (end === 'exit') end = why;
      killGroup(child);
    };
    const printed = collectOutput(child, () => stop('too_much_output'));
    const onAbort = () => stop('aborted');
    const finish = () => {
      clearTimeout(grace);
      signal.removeEventListener('abort', onAbort);
      killGroup(child);
      child.stdout.destroy();
      child.stderr.destroy();
      resolve({ ...printed(), exitCode, end });
    };
    child.on('error', (error) => {
      signal.removeEventListener('abort', onAbort);
      reject(error);
    });
    child.on('exit', (code) => {
      exitCode = code;
      grace = setTimeout(finish, PIPE_GRACE_MS);
    });
    child.on('close', finish);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}

/** Keeps the beginning of stdout and the end of stderr; `onTooMuch` is called for each chunk beyond the limit. */
function collectOutput(
  child: ChildProcessByStdio<null, Readable, Readable>,
  onTooMuch: () => void,
): () => { stdout: string; stderr: string } {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_STDOUT) chunks.push(chunk);
    else onTooMuch();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-MAX_STDERR_KEPT);
  });
  return () => ({ stdout: decodeText(Buffer.concat(chunks)), stderr });
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The whole group has exited, or the system has no groups: then only the program itself can be killed.
    child.kill('SIGKILL');
  }
}

interface KnownForm {
  readonly tokenAt: readonly string[];
  readonly expiryAt: readonly Pick<ExpiryHint, 'origin' | 'as' | 'unit'>[];
}

/** The first token and the first expiry that are there count. */
const FORMS = {
  // Kubernetes client.authentication.k8s.io/v1.
  exec_credential: {
    tokenAt: ['/status/token'],
    expiryAt: [{ origin: '/status/expirationTimestamp', as: 'absolute', unit: 'iso' }],
  },
  // az account get-access-token: expiresOn is local time without a zone; expires_on is beside it since CLI 2.54.
  az: {
    tokenAt: ['/accessToken'],
    expiryAt: [
      { origin: '/expires_on', as: 'absolute', unit: 'auto' },
      { origin: '/expiresOn', as: 'absolute', unit: 'iso' },
    ],
  },
  // gcloud config config-helper --format=json; gcloud auth print-access-token --format=json.
  gcloud: {
    tokenAt: ['/credential/access_token', '/token', '/access_token'],
    expiryAt: [
      { origin: '/credential/token_expiry', as: 'absolute', unit: 'iso' },
      { origin: '/expires_in', as: 'relative', unit: 's' },
    ],
  },
  // Executable-sourced credentials of google-auth-library.
  gcp_executable: {
    tokenAt: ['/id_token', '/saml_response'],
    expiryAt: [{ origin: '/expiration_time', as: 'absolute', unit: 's' }],
  },
} as const satisfies Partial<Record<ExecFormat, KnownForm>>;

const OAUTH_FORM: KnownForm = {
  tokenAt: ['/access_token'],
  expiryAt: [
    { origin: '/expires_in', as: 'relative', unit: 'auto' },
    { origin: '/expires_at', as: 'absolute', unit: 'auto' },
  ],
};

/** The token that a program printed and the hints about its expiry; an error describes the output without quoting it. */
function parseOutput(
  errors: SourceErrors,
  { format = 'auto', tokenAt, expiresAt }: ExecSettings,
  stdout: string,
): { readonly value: unknown; readonly hints: readonly ExpiryHint[]; readonly json?: unknown } {
  const text = stdout.trim();
  const isText = format === 'text' || (format === 'auto' && tokenAt === undefined && !text.startsWith('{'));
  if (isText) return { value: text, hints: [] };
  const json = parseJson(errors, text);
  const at = (pointer: string): unknown => resolvePointer(json, pointer).value;
  if (at('/success') === false)
    throw errors.transient('command', `printed success: false${errors.quoteError(json)}`);
  const zone = expiresAt?.zone === undefined ? {} : { zone: expiresAt.zone };
  if (tokenAt !== undefined) {
    const { pointer, as = 'auto', unit = 'auto' } = expiresAt ?? {};
    const isStated = pointer !== undefined && as !== 'jwt';
    const hints = isStated ? [{ origin: pointer, value: at(pointer), as, unit, ...zone }] : [];
    return { value: firstOf(errors, json, [tokenAt]), hints, json };
  }
  const form = format === 'auto' || format === 'json' ? formOf(json) : FORMS[format];
  const stated = form.expiryAt
    .map((place) => ({ ...place, ...zone, value: at(place.origin) }))
    .find(({ value }) => value !== undefined && value !== null);
  return { value: firstOf(errors, json, form.tokenAt), hints: stated === undefined ? [] : [stated], json };
}

function formOf(json: unknown): KnownForm {
  const has = (pointer: string) => resolvePointer(json, pointer).value !== undefined;
  if (has('/status/token')) return FORMS.exec_credential;
  if (has('/accessToken')) return FORMS.az;
  if (has('/credential/access_token')) return FORMS.gcloud;
  if (has('/id_token') && has('/version')) return FORMS.gcp_executable;
  return OAUTH_FORM;
}

function firstOf(errors: SourceErrors, json: unknown, pointers: readonly string[]): unknown {
  for (const pointer of pointers) {
    const { value } = resolvePointer(json, pointer);
    if (value !== undefined && value !== null) return value;
  }
  throw errors.misconfigured(
    'command',
    `no token at ${pointers.join(' or ')}: it printed ${describeValue(json)}. Set token_at.`,
  );
}

function parseJson(errors: SourceErrors, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw errors.misconfigured('command', `printed text of ${text.length} characters; expected JSON`);
  }
}
