import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { FilesWatch } from '../config/load/file-watcher.ts';
import type { LoadedConfig } from '../config/load/load-config.ts';
import type { Clock } from '../lib/clock.ts';
import { Secret } from '../lib/secret.ts';
import { settingsKey } from '../lib/settings-key.ts';
import { counted } from '../lib/text/format.ts';
import type { Runtime } from './runtime.ts';

/** The result of one reload. */
export type ReloadResult =
  | {
      readonly kind: 'ok';
      readonly runtime: Runtime;
      readonly warnings: readonly string[];
      /** Keys whose values changed, e.g. `timeout`, `tokens.corp`, `upstreams.chat`; empty when the reload changed nothing. */
      readonly changed: readonly string[];
      /** Changed keys that take effect after a restart only. */
      readonly kept: readonly string[];
      /** By such a key: what is in use and what is configured, in words and without secrets. */
      readonly keptValues: ReadonlyMap<string, string>;
    }
  | { readonly kind: 'failed'; readonly message: string };

interface ReloadParts {
  readonly clock: Clock;
  /** Throws `ConfigError`. */
  load(): LoadedConfig;
  current(): Runtime;
  /** Builds from a checked configuration; may throw. */
  build(loaded: LoadedConfig, config: Config): Runtime;
  /** Makes a runtime the current one and retires the previous one. */
  swap(next: Runtime): void;
  report(result: ReloadResult): void;
}

/** New token sources get this long before the swap, so that the first requests need not wait for a token. */
const MAX_TOKEN_WAIT_MS = 5_000;

/** Loads the configuration again on request and when one of its files changes: all of it, or nothing. */
export class ConfigReloads {
  readonly #parts: ReloadParts;
  readonly #watch: FilesWatch;
  /** Settles when the running reload and those queued behind it are done: reloads never overlap. */
  #queue: Promise<unknown> = Promise.resolve();
  #problem: string | null = null;
  #isClosed = false;

  constructor(parts: ReloadParts) {
    this.#parts = parts;
    this.#watch = new FilesWatch(parts.clock, () => void this.reload());
  }

  /** Why the file as it is now is not in use, without its values; null when it is in use. */
  get problem(): string | null {
    return this.#problem;
  }

  /** Watches these files; a change of one of them reloads the configuration. */
  follow(files: readonly string[]): void {
    this.#watch.follow(files);
  }

  /** True: the current content of the files is in use. Never rejects. */
  reload(): Promise<boolean> {
    const result = this.#queue.then(() => this.#reload());
    this.#queue = result;
    return result;
  }

  /** Stops watching; a reload that is running changes nothing any more. */
  close(): void {
    this.#isClosed = true;
    this.#watch.close();
  }

  async #reload(): Promise<boolean> {
    if (this.#isClosed) return false;
    const { load, current, build, swap, report, clock } = this.#parts;
    try {
      const loaded = load();
      this.follow(loaded.files);
      const running = current().config;
      const { config, kept } = withFixedSettings(loaded.config, running);
      const next = build(loaded, config);
      // A file that was truncated while it was written looks like this.
      if (next.upstreams.length === 0 && current().upstreams.length > 0)
        throw new Error('it has no usable upstream');
      const changed = changedKeys(loaded.config, current().config);
      await Promise.race([next.start(), after(MAX_TOKEN_WAIT_MS, clock)]);
      if (this.#isClosed) {
        await next.close();
        return false;
      }
      swap(next);
      this.#problem = null;
      const keptValues = valuesOfKept(kept, loaded.config, running);
      report({ kind: 'ok', runtime: next, warnings: loaded.warnings, changed, kept, keptValues });
      return true;
    } catch (error) {
      this.#problem = describeProblem(error);
      report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
      return false;
    }
  }
}

/** For `/readyz`, which needs no key: the place of the problem without any value of the file. */
function describeProblem(error: unknown): string {
  const first = error instanceof ConfigError ? error.problems[0] : undefined;
  const place = first?.line === null || first === undefined ? '' : `, the first in line ${first.line}`;
  const count = error instanceof ConfigError ? error.problems.length : 1;
  return `configuration: the changed file is not in use (${counted(count, 'problem')}${place}). See the log.`;
}

function after(delayMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.schedule(resolve, delayMs);
  });
}

/** The keys whose values differ, in the order of `next`; token sources, upstreams and clients one by one, by name. */
function changedKeys(next: Config, running: Config): string[] {
  const keys = Object.keys(next) as (keyof Config)[];
  return keys.flatMap((key) => {
    if (settingsKey(next[key]) === settingsKey(running[key])) return [];
    const [now, before] = [namedParts(next[key]), namedParts(running[key])];
    if (now === null || before === null) return [key];
    const names = [...new Set([...Object.keys(now), ...Object.keys(before)])];
    const changed = names.filter((name) => settingsKey(now[name]) !== settingsKey(before[name]));
    // Only the order of upstreams is another.
    return changed.length === 0 ? [key] : changed.map((name) => `${key}.${name}`);
  });
}

/** The items of a list of named things, or the members of a mapping; null for any other value. */
function namedParts(value: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof value !== 'object' || value === null || value instanceof Secret) return null;
  if (!Array.isArray(value)) return value as Readonly<Record<string, unknown>>;
  const items: readonly unknown[] = value;
  const entries = items.map((item) => [(item as { readonly name?: unknown } | null)?.name, item] as const);
  return entries.every(([name]) => typeof name === 'string') ? Object.fromEntries(entries) : null;
}

/** Keys whose parts are opened once, when the process starts. Remove one when its part can be replaced. */
const FIXED = [
  'address',
  'tls',
  'workers',
  'dbtype',
  'dbaddr',
  'record',
  'admin',
  'tracing',
] as const satisfies readonly (keyof Config)[];

/** A configuration that can be used while the process runs, and the keys in which it differs from the file. */
interface Applicable {
  readonly config: Config;
  /** Changed keys that keep their old values until the next start. */
  readonly kept: readonly string[];
}

/** What is in use and what is configured, by key; passwords and keys are left out, and so is what has no short text. */
export function valuesOfKept(
  kept: readonly string[],
  next: Config,
  running: Config,
): ReadonlyMap<string, string> {
  return new Map(
    kept.map((name) => {
      const path = name.replace(/ .*$/, '').split('.');
      return [name, differences(path, valueAt(running, path), valueAt(next, path)).join('; ')];
    }),
  );
}

function valueAt(config: Config, path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown> | null)?.[key], config);
}

const PASSWORD = /password\s*=|:\/\/[^/@\s]*:[^/@\s]*@/i;

function differences(path: readonly string[], before: unknown, after: unknown): string[] {
  if (settingsKey(before) === settingsKey(after)) return [];
  if (isMembers(before) && isMembers(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => differences([...path, key], before[key], after[key]));
  }
  const [used, configured] = [shownValue(before), shownValue(after)];
  return used === null || configured === null
    ? []
    : [`${path.join('.')} in use: ${used}, configured: ${configured}`];
}

function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Secret);
}

/** Null: it may hold a secret, or has no short text. */
function shownValue(value: unknown): string | null {
  if (typeof value === 'string' && PASSWORD.test(value)) return null;
  return value === null || ['string', 'number', 'boolean'].includes(typeof value)
    ? JSON.stringify(value)
    : null;
}

/** `next`, with the values of `running` for keys that cannot change while the process runs. */
export function withFixedSettings(next: Config, running: Config): Applicable {
  const kept: string[] = [];
  const config: Record<string, unknown> = { ...next };
  for (const key of FIXED) {
    if (settingsKey(next[key]) === settingsKey(running[key])) continue;
    kept.push(key);
    config[key] = running[key];
  }
  const log = { ...running.log, level: next.log.level, bodies: next.log.bodies };
  if (settingsKey(next.log) !== settingsKey(log)) kept.push('log (all but its level)');
  config.log = log;
  if (next.limits.header_bytes !== running.limits.header_bytes) {
    kept.push('limits.header_bytes');
    config.limits = { ...next.limits, header_bytes: running.limits.header_bytes };
  }
  return { config: config as unknown as Config, kept };
}
