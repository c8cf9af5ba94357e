import { resolve } from 'node:path';
import { Secret } from '../../../lib/secret.ts';
import { quietWords } from '../../issuer/issuer-refusal.ts';
import { rawToken } from '../raw-token.ts';
import { recipeKey } from '../recipe-key.ts';
import { SourceVoice } from '../source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from '../token-source.ts';
import { readExecOutput } from './exec-output.ts';
import { type ExecResult, runProcess } from './exec-process.ts';
import type { ExecSettings } from './exec-settings.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
/** What a helper of kubectl expects to be told (client.authentication.k8s.io). */
const EXEC_INFO = JSON.stringify({
  apiVersion: 'client.authentication.k8s.io/v1',
  kind: 'ExecCredential',
  spec: { interactive: false },
});

/** A token that a program prints. One instance runs at a time: helpers lock files and rotate secrets. */
export class ExecSource implements TokenSource {
  readonly kind = 'exec';
  readonly key: string;
  readonly #settings: ExecSettings;
  readonly #deps: SourceDeps;
  readonly #voice: SourceVoice;
  /** Settles when the last program that was started has ended. */
  #running: Promise<unknown> = Promise.resolve();

  constructor(name: string, settings: ExecSettings, deps: SourceDeps) {
    this.#settings = settings;
    this.#deps = deps;
    this.#voice = new SourceVoice(name, deps.secrets);
    this.key = recipeKey(settings);
    if (settings.command[0] === undefined || settings.command[0] === '') {
      throw this.#voice.error('command', 'is empty', 'credentials');
    }
  }

  async acquire({ signal, clock }: AcquireContext): Promise<RawToken> {
    const previous = this.#running;
    const run = previous.then(() => this.#run(signal));
    this.#running = run.catch(() => {});
    const result = await run;
    this.#check(result, signal);
    const { value, hints } = readExecOutput(this.#voice, this.#settings, result.stdout);
    return rawToken(this.#voice, { field: 'command', value, hints, nowWallMs: clock.wallMs() });
  }

  async #run(signal: AbortSignal): Promise<ExecResult> {
    // It may have waited for the one before.
    if (signal.aborted) {
      throw this.#voice.error('command', 'was not started before the attempt was given up');
    }
    const { command, cwd, timeoutMs = DEFAULT_TIMEOUT_MS } = this.#settings;
    try {
      return await runProcess({
        command,
        cwd: cwd === undefined ? process.cwd() : resolve(this.#deps.baseDir ?? '.', cwd),
        env: this.#environment(),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
      throw this.#voice.error('command', `${command[0]} cannot be started (${code})`, 'credentials');
    }
  }

  #environment(): Record<string, string | undefined> {
    const own = Object.entries(this.#settings.env ?? {}).map(([name, value]) => [
      name,
      value instanceof Secret ? value.reveal() : value,
    ]);
    return { ...process.env, KUBERNETES_EXEC_INFO: EXEC_INFO, ...Object.fromEntries(own) };
  }

  #check({ end, exitCode, stderr }: ExecResult, signal: AbortSignal): void {
    if (end === 'too_much_output')
      throw this.#voice.error('command', 'printed more than 256 KiB and was killed');
    if (end === 'aborted') {
      const { timeoutMs = DEFAULT_TIMEOUT_MS } = this.#settings;
      const why = signal.aborted ? 'before the attempt was given up' : `within ${timeoutMs / 1000} s`;
      throw this.#voice.error('command', `did not end ${why} and was killed`);
    }
    if (exitCode === 0) return;
    const words = quietWords(stderr, (text) => this.#voice.scrub(text), 'end');
    const how = exitCode === null ? 'was killed by somebody else' : `ended with code ${exitCode}`;
    throw this.#voice.error('command', `${how}${words === '' ? '' : `: "${words}"`}`);
  }
}
