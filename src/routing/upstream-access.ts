import { anyMatcher, anyMatcherInAnyCase, globMatcher, isExact, type Matcher } from './glob.ts';
import type { ClientIdentity } from './routed-request.ts';

export interface AccessSettings {
  readonly name: string;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** The model's name for clients, or a glob of names: its name at the upstream. Exact names first, then globs in order. */
  readonly aliases: Readonly<Record<string, string>>;
  /** SHA-256 digests of the keys that may use it instead of the global ones; null: the global ones. */
  readonly keyDigests: ReadonlySet<string> | null;
  /** Names of the only clients that may use it; null: no such limit. */
  readonly clients: ReadonlySet<string> | null;
  readonly isOpenToAll: boolean;
}

interface AliasGlob {
  readonly matches: Matcher;
  readonly model: string;
}

/** Which requests an upstream of the configuration is there for, and whose. */
export class UpstreamAccess {
  readonly name: string;
  readonly #settings: AccessSettings;
  /** Null: everything. */
  readonly #allows: Matcher | null;
  /** Null: nothing. */
  readonly #denies: Matcher | null;
  /** Null: no alias is a glob. */
  readonly #globs: readonly AliasGlob[] | null;

  constructor(settings: AccessSettings) {
    this.name = settings.name;
    this.#settings = settings;
    this.#allows = settings.allow.length === 0 ? null : anyMatcher(settings.allow);
    this.#denies = settings.deny.length === 0 ? null : anyMatcherInAnyCase(settings.deny);
    const globs = Object.entries(settings.aliases).filter(([name]) => !isExact(name));
    this.#globs =
      globs.length === 0 ? null : globs.map(([glob, model]) => ({ matches: globMatcher(glob), model }));
  }

  /** The upstream's own name for what the client calls `model`. */
  upstreamModel(model: string): string {
    const { aliases } = this.#settings;
    if (Object.hasOwn(aliases, model)) return aliases[model] ?? model;
    return this.#globs === null ? model : (this.globAliasOf(model) ?? model);
  }

  /** The upstream's own name for a model that a glob among the aliases matches; null: none does. */
  globAliasOf(model: string): string | null {
    // Requests without a model have their path as its name.
    if (this.#globs === null || model.startsWith('/')) return null;
    return this.#globs.find(({ matches }) => matches(model))?.model ?? null;
  }

  /** First allow, then deny; the model under either of its names, or the normalised path. */
  admits(model: string, path: string): boolean {
    const allows = this.#allows;
    const denies = this.#denies;
    if (allows === null && denies === null) return true;
    const own = this.upstreamModel(model);
    // An alias is allowed without being repeated under `allow`.
    const isAllowed =
      allows === null ||
      allows(own) ||
      allows(path) ||
      (own !== model && allows(model)) ||
      Object.hasOwn(this.#settings.aliases, model) ||
      (this.#globs !== null && this.globAliasOf(model) !== null);
    return isAllowed && (denies === null || !(denies(own) || denies(model) || denies(path)));
  }

  admitsClient(client: ClientIdentity): boolean {
    const { isOpenToAll, keyDigests, clients } = this.#settings;
    if (isOpenToAll) return true;
    if (keyDigests === null && clients === null) return client.isGlobal;
    if (keyDigests !== null && client.keyDigest !== null && keyDigests.has(client.keyDigest)) return true;
    return clients !== null && client.name !== null && clients.has(client.name);
  }
}
