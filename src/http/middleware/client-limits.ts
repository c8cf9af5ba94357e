import type { ClientIdentity } from '../../routing/routed-request.ts';
import { ClientQuota, type QuotaSettings } from './client-quota.ts';

/** The quotas of all limited clients, by the clients' names. Outlives a reload, so that a reload resets no limit. */
export class ClientLimits {
  readonly #quotas = new Map<string, ClientQuota>();

  /** Replaces the limits: quotas of clients that are still limited keep what was used of them. */
  update(settings: ReadonlyMap<string, QuotaSettings>): void {
    for (const name of this.#quotas.keys()) if (!settings.has(name)) this.#quotas.delete(name);
    for (const [name, limits] of settings) {
      const quota = this.#quotas.get(name);
      if (quota === undefined) this.#quotas.set(name, new ClientQuota(name, limits));
      else quota.adjust(limits);
    }
  }

  /** Null for a client without limits. */
  of({ name }: ClientIdentity): ClientQuota | null {
    if (this.#quotas.size === 0 || name === null) return null;
    return this.#quotas.get(name) ?? null;
  }
}
