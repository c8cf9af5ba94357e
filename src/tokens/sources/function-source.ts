import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { errorCodeOf } from '../../lib/errors/ferry-error.ts';
import { settingsKey } from '../../lib/settings-key.ts';
import { type ExpiryHint, usualHints } from '../expiry/expiry.ts';
import { describeKeys, describeValue } from '../issuer/issuer-response.ts';
import { rawToken } from './raw-token.ts';
import { SourceErrors } from './source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from './token-source.ts';

/** User code: an ES module that exports an async function. */
export interface FunctionSettings {
  readonly type: 'function';
  /** Path of the module. */
  readonly module: string;
  /** The name of the export; the default export, or the only function there is, when it is not set. */
  readonly export?: string;
}

/** What the function is called with. */
interface TokenFunctionContext {
  readonly signal: AbortSignal;
  readonly reason: string;
  /** True: the last token was rejected, a cached one is of no use. */
  readonly force: boolean;
}

/** What it returns: the bare token, or an object with its life. */
type TokenFunctionResult =
  | string
  | {
      readonly value: string;
      readonly lifetime_ms?: number;
      /** A date in any form: a `Date`, ISO, epoch seconds, epoch milliseconds. */
      readonly expires_at?: string | number | Date;
      readonly refresh_in_ms?: number;
      readonly extra?: Readonly<Record<string, string>>;
    };

type TokenFunction = (context: TokenFunctionContext) => Promise<TokenFunctionResult> | TokenFunctionResult;

/** Loads the module at the first acquisition, so that a faulty one fails its source and not the start. */
export class FunctionSource implements TokenSource {
  readonly kind = 'function';
  readonly key: string;
  readonly #settings: FunctionSettings;
  readonly #errors: SourceErrors;
  readonly #url: string;
  #loaded: TokenFunction | undefined;

  constructor(name: string, settings: FunctionSettings, deps: SourceDeps) {
    this.#settings = settings;
    this.#errors = new SourceErrors(name, deps.secrets);
    const path = resolve(deps.baseDir ?? '.', settings.module);
    const digest = this.#digestOf(path);
    this.key = settingsKey({ ...settings, path, digest });
    // Node never loads the same URL twice; changed code has another one.
    this.#url = `${pathToFileURL(path).href}?v=${digest.slice(0, 16)}`;
  }

  async acquire({ signal, reason, force, clock }: AcquireContext): Promise<RawToken> {
    this.#loaded ??= await this.#load();
    const result = await this.#call(this.#loaded, { signal, reason, force });
    if (typeof result === 'string') {
      return rawToken(this.#errors, { field: 'module', value: result, hints: [], nowWallMs: clock.wallMs() });
    }
    if (typeof result !== 'object' || result === null) {
      throw this.#errors.transient(
        'module',
        `returned ${describeValue(result)}; expected { value, lifetime_ms }`,
      );
    }
    const { value, lifetime_ms, refresh_in_ms, extra } = result;
    if (value === undefined)
      throw this.#errors.transient('module', `returned no value, but an object with ${describeKeys(result)}`);
    const hints: ExpiryHint[] = [
      { origin: 'lifetime_ms', value: lifetime_ms, as: 'relative', unit: 'ms' },
      ...usualHints(result),
    ];
    return rawToken(this.#errors, {
      field: 'module',
      value,
      hints,
      nowWallMs: clock.wallMs(),
      refreshInMs: refresh_in_ms,
      ...(extra === undefined ? {} : { extra }),
    });
  }

  async #load(): Promise<TokenFunction> {
    const { module: path, export: name } = this.#settings;
    let exported: Record<string, unknown>;
    try {
      exported = (await import(this.#url)) as Record<string, unknown>;
    } catch (error) {
      throw this.#errors.misconfigured('module', `cannot load ${path}: ${this.#quote(error)}`);
    }
    const functions = Object.values(exported).filter((value) => typeof value === 'function');
    const found = name === undefined ? (exported.default ?? functions[0]) : exported[name];
    if (typeof found === 'function') return found as TokenFunction;
    throw this.#errors.misconfigured(
      'module',
      `${path} exports no function${name === undefined ? '' : ` ${name}`}`,
    );
  }

  /** The signal ends the wait even if the function never looks at it. */
  async #call(
    run: TokenFunction,
    context: TokenFunctionContext,
  ): Promise<TokenFunctionResult | null | undefined> {
    const { signal } = context;
    let onAbort = () => {};
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () =>
        reject(this.#errors.transient('module', 'returned nothing before the attempt was aborted'));
      signal.addEventListener('abort', onAbort, { once: true });
      if (signal.aborted) onAbort();
    });
    try {
      return await Promise.race([aborted, this.#run(run, context)]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #run(run: TokenFunction, context: TokenFunctionContext): Promise<TokenFunctionResult> {
    try {
      return await run(context);
    } catch (error) {
      throw this.#errors.transient('module', `threw: ${this.#quote(error)}`);
    }
  }

  #quote(error: unknown): string {
    return this.#errors.quote(error instanceof Error ? error.message : describeValue(error));
  }

  #digestOf(path: string): string {
    try {
      return createHash('sha256').update(readFileSync(path)).digest('hex');
    } catch (error) {
      const code = errorCodeOf(error) ?? 'unknown error';
      throw this.#errors.misconfigured('module', `cannot read ${this.#settings.module} (${code})`);
    }
  }
}
