import type { Secret } from '../../lib/secret.ts';
import { rawToken } from './raw-token.ts';
import { recipeKey } from './recipe-key.ts';
import { SourceVoice } from './source-errors.ts';
import type { AcquireContext, RawToken, SourceDeps, TokenSource } from './token-source.ts';

/** A token that stands in the configuration. */
export interface StaticSettings {
  readonly type: 'static';
  readonly value: Secret;
}

/** The configured token; its life is known only when it is a JWT. */
export class StaticSource implements TokenSource {
  readonly kind = 'static';
  readonly key: string;
  readonly #voice: SourceVoice;
  readonly #value: Secret;

  constructor(name: string, settings: StaticSettings, deps: SourceDeps) {
    this.#voice = new SourceVoice(name, deps.secrets);
    this.#value = settings.value;
    this.key = recipeKey(settings);
  }

  async acquire({ clock }: AcquireContext): Promise<RawToken> {
    const value = this.#value.reveal();
    return rawToken(this.#voice, { field: 'value', value, hints: [], nowWallMs: clock.wallMs() });
  }
}
