import { rawToken } from './raw-token.ts';
import { recipeKey } from './recipe-key.ts';
import { SourceVoice } from './source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from './token-source.ts';

/** A token in an environment variable. */
export interface EnvSettings {
  readonly type: 'env';
  /** The variable's name. */
  readonly name: string;
}

/** The variable is read anew each time: a function module or a debugger may have changed it. */
export class EnvSource implements TokenSource {
  readonly kind = 'env';
  readonly key: string;
  readonly #voice: SourceVoice;
  readonly #settings: EnvSettings;
  readonly #env: Readonly<Record<string, string | undefined>>;

  constructor(name: string, settings: EnvSettings, deps: SourceDeps) {
    this.#voice = new SourceVoice(name, deps.secrets);
    this.#settings = settings;
    this.#env = deps.env ?? process.env;
    // The value belongs to the recipe: a reload with another value is another source.
    this.key = recipeKey({ ...settings, value: this.#env[settings.name] });
  }

  async acquire({ clock }: AcquireContext): Promise<RawToken> {
    const variable = this.#settings.name;
    const value = this.#env[variable];
    if (value === undefined)
      throw this.#voice.error('name', `${variable} is not set in the environment`, 'credentials');
    return rawToken(this.#voice, {
      field: `name ${variable}`,
      value,
      hints: [],
      nowWallMs: clock.wallMs(),
    });
  }
}
