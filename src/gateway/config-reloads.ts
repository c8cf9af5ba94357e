import type { Config } from '../config/config.ts';
import { ConfigError } from '../config/config-error.ts';
import { FilesWatch } from '../config/load/file-watcher.ts';
import type { LoadedConfig } from '../config/load/load-config.ts';
import type { Clock } from '../lib/clock.ts';
import type { Deployment } from './deployment.ts';
import { withFixedSettings } from './fixed-settings.ts';

/** How one reload ended. */
export type ReloadResult =
  | {
      readonly kind: 'ok';
      readonly deployment: Deployment;
      readonly warnings: readonly string[];
      /** Changed keys that need a new process. */
      readonly kept: readonly string[];
    }
  | { readonly kind: 'failed'; readonly message: string };

interface ReloadParts {
  readonly clock: Clock;
  /** Throws `ConfigError`. */
  load(): LoadedConfig;
  inUse(): Deployment;
  /** Builds from a checked configuration; may throw. */
  build(loaded: LoadedConfig, config: Config): Deployment;
  /** Puts a deployment to use; the one before gives way. */
  swap(next: Deployment): void;
  report(result: ReloadResult): void;
}

/** New token sources are waited for so long, so that the swap costs requests nothing; then they wait for themselves. */
const LONGEST_TOKEN_WAIT_MS = 5_000;

/** Loads the configuration again when told or when a file changed: whole and checked, or not at all. */
export class ConfigReloads {
  readonly #parts: ReloadParts;
  readonly #watch: FilesWatch;
  /** The reload that runs, and those that wait for it. */
  #queue: Promise<unknown> = Promise.resolve();
  #problem: string | null = null;
  #isClosed = false;

  constructor(parts: ReloadParts) {
    this.#parts = parts;
    this.#watch = new FilesWatch(parts.clock, () => void this.reload());
  }

  /** What keeps the file as it is now from being used, without its values; null when it is in use. */
  get problem(): string | null {
    return this.#problem;
  }

  /** From now on a change of one of these files loads them again. */
  follow(files: readonly string[]): void {
    this.#watch.follow(files);
  }

  /** True: what the file says now is in use. Never rejects. */
  reload(): Promise<boolean> {
    const result = this.#queue.then(() => this.#reload());
    this.#queue = result;
    return result;
  }

  /** Nothing is loaded any more, and a reload that runs changes nothing. */
  close(): void {
    this.#isClosed = true;
    this.#watch.close();
  }

  async #reload(): Promise<boolean> {
    if (this.#isClosed) return false;
    const { load, inUse, build, swap, report, clock } = this.#parts;
    try {
      const loaded = load();
      this.follow(loaded.files);
      const { config, kept } = withFixedSettings(loaded.config, inUse().config);
      const deployment = build(loaded, config);
      // As an emptied file would: taking everything away is done by ending the process.
      if (deployment.upstreams.length === 0 && inUse().upstreams.length > 0)
        throw new Error('it leaves no upstream that can be used');
      await Promise.race([deployment.start(), after(LONGEST_TOKEN_WAIT_MS, clock)]);
      if (this.#isClosed) {
        await deployment.close();
        return false;
      }
      swap(deployment);
      this.#problem = null;
      report({ kind: 'ok', deployment, warnings: loaded.warnings, kept });
      return true;
    } catch (error) {
      this.#problem = inWords(error);
      report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) });
      return false;
    }
  }
}

/** For everybody who may ask `/readyz`: where to look, and nothing that stands there. */
function inWords(error: unknown): string {
  const first = error instanceof ConfigError ? error.problems[0] : undefined;
  const place = first?.line === null || first === undefined ? '' : `, the first in line ${first.line}`;
  const count = error instanceof ConfigError ? error.problems.length : 1;
  return `configuration: the changed file is not in use (${count} ${count === 1 ? 'problem' : 'problems'}${place}); the log says more`;
}

function after(delayMs: number, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    clock.schedule(resolve, delayMs);
  });
}
