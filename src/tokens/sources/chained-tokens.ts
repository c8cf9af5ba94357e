import { fingerprintOf } from '../../lib/secret.ts';
import type { IssuerResponse } from '../issuer/issuer-client.ts';
import { isBusy } from '../issuer/issuer-response.ts';
import { SecretRetention } from '../manager/secret-retention.ts';
import type { SourceErrors } from './source-errors.ts';
import {
  type AcquireContext,
  type ChainedToken,
  type SourceDeps,
  type TokenSource,
  TokenSourceError,
} from './token-source.ts';

/** How often the tokens of another source can be used: `token_use` of the configuration. */
export type TokenUse = 'many' | 'once';

interface ChainSettings {
  readonly use: TokenUse;
  /** The sources whose tokens are used. */
  readonly sources: readonly (string | undefined)[];
}

/** The values of the source that the setting `field` names: `token`, and its further ones by their names. */
export type ChainedLookup = (field: string, source: string) => Promise<Readonly<Record<string, string>>>;

/** One step of a chain. */
interface ChainedCall<T> {
  /** Builds and sends the request. */
  readonly call: (lookup: ChainedLookup) => Promise<IssuerResponse>;
  /** Throws when the response is no success. */
  readonly read: (response: IssuerResponse) => T | Promise<T>;
}

/** With tokens that can be used once: another ticket, and then one that was made with renewed tokens as well. */
const MAX_TRIES = { many: 2, once: 3 } as const satisfies Record<TokenUse, number>;

/** A step that refuses new tokens too refuses them for another reason: they are not renewed for it again so soon. */
const FUTILE_PAUSE_MS = 5 * 60_000;

/**
 * The tokens of other sources that a source uses. A refused one is renewed at once, and the call is made again with it.
 * After a rejection of the own token they are renewed once: that the next attempts fail too is no reason to call their
 * issuers each time, which may lock an account for it.
 */
export class ChainedTokens {
  readonly #errors: SourceErrors;
  readonly #deps: SourceDeps;
  readonly #use: TokenUse;
  /** With `once`: the sources themselves, as each token is obtained when it is needed. */
  readonly #ticketSources = new Map<string, TokenSource>();
  readonly #secrets: SecretRetention;
  /** By source: the fingerprint of the rejected token for which it was renewed last. */
  readonly #renewedFor = new Map<string, string | undefined>();
  /** Monotonic time at which renewed tokens were refused as well; null: none were since the last success. */
  #futileAtMonoMs: number | null = null;

  constructor(errors: SourceErrors, deps: SourceDeps, { use, sources }: ChainSettings) {
    this.#errors = errors;
    this.#deps = deps;
    this.#use = use;
    this.#secrets = new SecretRetention(deps.secrets);
    if (use === 'many') return;
    for (const name of sources) if (name !== undefined) this.#ticketSources.set(name, deps.sourceOf(name));
  }

  /** Of the sources that belong to this one: other settings of theirs make another source. */
  get key(): readonly string[] {
    return Array.from(this.#ticketSources.values(), ({ key }) => key);
  }

  /** Makes a call with tokens of other sources, again with renewed ones when it refuses those. */
  async run<T>({ call, read }: ChainedCall<T>, context: AcquireContext): Promise<T> {
    let given: ReadonlyMap<string, ChainedToken> = new Map();
    for (let tries = 1; ; tries++) {
      const used = new Map<string, ChainedToken>();
      const response = await call(async (field, source) => {
        const token = given.get(source) ?? (await this.#obtain(field, source, context));
        used.set(source, token);
        return token.values;
      });
      try {
        const result = await read(response);
        for (const token of used.values()) token.accept();
        this.#futileAtMonoMs = null;
        return result;
      } catch (error) {
        const isRefused = used.size > 0 && isRefusal(error, response);
        const renewed = isRefused ? await this.#renew(used, tries, context) : null;
        if (renewed === null) throw error;
        given = renewed;
      }
    }
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#ticketSources.values(), (source) => source.close?.()));
  }

  /** Null: renewed tokens would not help, or are not to be had now. */
  async #renew(
    used: ReadonlyMap<string, ChainedToken>,
    tries: number,
    context: AcquireContext,
  ): Promise<ReadonlyMap<string, ChainedToken> | null> {
    const nowMonoMs = context.clock.monoMs();
    if (tries > 1) {
      this.#futileAtMonoMs = nowMonoMs;
      for (const token of used.values()) token.refuse();
    }
    const isFutile = tries === 1 && nowMonoMs - (this.#futileAtMonoMs ?? -FUTILE_PAUSE_MS) < FUTILE_PAUSE_MS;
    if (isFutile || tries >= MAX_TRIES[this.#use] || context.signal.aborted) return null;
    const renewed = new Map<string, ChainedToken>();
    for (const [source, token] of used) {
      const other = await token.renew({ signal: context.signal, isDeep: tries > 1 });
      if (other !== null) renewed.set(source, other);
    }
    return renewed.size === 0 ? null : renewed;
  }

  async #obtain(field: string, source: string, context: AcquireContext): Promise<ChainedToken> {
    const { signal } = context;
    const ticketSource = this.#ticketSources.get(source);
    if (ticketSource !== undefined) return this.#ticket(ticketSource, context, context.reason === 'manual');
    if (this.#isRenewalDue(source, context)) {
      const renewed = await this.#deps.tokenOf(source, { signal, force: true }).catch(() => null);
      // One that is refused although it is new is not renewed again.
      if (renewed !== null) return { ...renewed, renew: async () => null };
      // Its current token may still be valid: the rejected token was ours and not this one.
    }
    try {
      return await this.#deps.tokenOf(source, { signal, force: false });
    } catch (cause) {
      throw this.#errors.transient(field, `source ${source} has no token. See its own error.`, cause);
    }
  }

  /** A token that works once. An error is that of its own source, which is listed nowhere else. */
  async #ticket(
    source: TokenSource,
    context: AcquireContext,
    force: boolean,
    previousFingerprint?: string,
  ): Promise<ChainedToken> {
    const { signal, reason, clock } = context;
    const previous = previousFingerprint === undefined ? {} : { previousFingerprint };
    const { value, extra = {} } = await source.acquire({ signal, reason, clock, force, ...previous });
    const values = { ...extra, token: value };
    for (const secret of Object.values(values)) {
      this.#secrets.add(secret);
      this.#secrets.retire(secret, clock.monoMs());
    }
    return {
      values,
      accept: () => undefined,
      refuse: () => undefined,
      renew: ({ isDeep }) => this.#ticket(source, context, isDeep, fingerprintOf(value)).catch(() => null),
    };
  }

  #isRenewalDue(source: string, { force, reason, previousFingerprint }: AcquireContext): boolean {
    if (!force) return false;
    const isDone = this.#renewedFor.has(source) && this.#renewedFor.get(source) === previousFingerprint;
    this.#renewedFor.set(source, previousFingerprint);
    // An operator's refresh is always passed on.
    return reason === 'manual' || !isDone;
  }
}

/** Whether a response that is no success may be about the tokens it was asked with: not one of a server that is busy or broken. */
function isRefusal(error: unknown, { status }: IssuerResponse): boolean {
  if (!(error instanceof TokenSourceError)) return false;
  return error.severity === 'credentials' || !isBusy(status);
}
