import type { HolderSettings } from '../tokens/manager/holder-settings.ts';
import type { TokenHolder } from '../tokens/manager/token-holder.ts';
import type { TokenSource } from '../tokens/sources/token-source.ts';
import { InheritedToken } from './inherited-token.ts';
import { settingsKey } from './settings-key.ts';

/** What a holder is going to be. */
interface HolderPlan {
  readonly name: string;
  readonly source: TokenSource;
  readonly settings: HolderSettings;
}

/**
 * The holder for `plan` when a configuration takes over from another one: the running holder when nothing of it
 * changed; else a new one, which begins with the token of a running holder when the recipe is the same.
 */
export function holderFor(
  plan: HolderPlan,
  running: ReadonlyMap<string, TokenHolder>,
  create: (source: TokenSource) => TokenHolder,
): TokenHolder {
  const same = [...running.values()].filter(({ sourceKey }) => sourceKey === plan.source.key);
  const unchanged = same.find(
    ({ name, settings }) => name === plan.name && isSameKeeping(settings, plan.settings),
  );
  if (unchanged !== undefined) {
    void plan.source.close?.();
    return unchanged;
  }
  const heir = same[0];
  // A lease has its token only; further values of the answer come from the issuer.
  const needsExtras = plan.settings.placements.some(({ extra }) => extra !== undefined);
  return create(heir === undefined || needsExtras ? plan.source : new InheritedToken(plan.source, heir));
}

/** The start jitter depends on how many sources there are, and matters once. */
function isSameKeeping(left: HolderSettings, right: HolderSettings): boolean {
  return settingsKey({ ...left, startJitterMs: 0 }) === settingsKey({ ...right, startJitterMs: 0 });
}
