import type { Secret } from '../../lib/secret.ts';
import { settingsKey } from '../../lib/settings-key.ts';
import { rawToken } from './raw-token.ts';
import { SourceErrors } from './source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from './token-source.ts';

/** A token in the configuration. */
export interface StaticSettings {
  readonly type: 'static';
  readonly value: Secret;
}

/** The configured token; its life is known only when it is a JWT. */
export class StaticSource implements TokenSource {
  readonly kind = 'static';
  readonly key: string;
  readonly #errors: SourceErrors;
  readonly #value: Secret;

  constructor(name: string, settings: StaticSettings, deps: SourceDeps) {
    this.#errors = new SourceErrors(name, deps.secrets);
    this.#value = settings.value;
    this.key = settingsKey(settings);
  }

  async acquire({ clock }: AcquireContext): Promise<RawToken> {
    const value = this.#value.reveal();
    const nowWallMs = clock.wallMs();
    return rawToken(this.#errors, { field: 'value', value, hints: [], nowWallMs, isFixed: true });
  }
}

/** A token in an environment variable. */
export interface EnvSettings {
  readonly type: 'env';
  /** The variable's name. */
  readonly name: string;
}

/** The variable is read each time: a `function` source may have changed it. */
export class EnvSource implements TokenSource {
  readonly kind = 'env';
  readonly key: string;
  readonly #errors: SourceErrors;
  readonly #variable: string;
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(name: string, settings: EnvSettings, deps: SourceDeps) {
    this.#errors = new SourceErrors(name, deps.secrets);
    this.#variable = settings.name;
    this.#env = deps.env ?? process.env;
    // The value belongs to the key: a reload with another value makes another source.
    this.key = settingsKey({ ...settings, value: this.#env[settings.name] });
  }

  async acquire({ clock }: AcquireContext): Promise<RawToken> {
    const variable = this.#variable;
    const value = this.#env[variable];
    if (value === undefined || value.trim() === '') {
      const what = value === undefined ? 'is not set' : 'is empty';
      throw this.#errors.misconfigured('name', `environment variable ${variable} ${what}`);
    }
    const nowWallMs = clock.wallMs();
    return rawToken(this.#errors, { field: `name ${variable}`, value, hints: [], nowWallMs, isFixed: true });
  }
}
