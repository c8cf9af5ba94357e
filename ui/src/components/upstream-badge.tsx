import type {
  AdminToken,
  AdminTokens,
  AdminUpstream,
  AdminUpstreamState,
} from '../../../src/admin/api-types.ts';
import { type TextKey, t } from '../i18n/language.ts';
import { Badge } from './states.tsx';

const KINDS: Record<AdminUpstreamState, 'ok' | 'warn' | 'fail' | 'info'> = {
  up: 'ok',
  paused: 'info',
  cooling: 'fail',
  probing: 'warn',
  skipped: 'fail',
};

const TEXTS: Record<AdminUpstreamState, TextKey> = {
  up: 'stateUp',
  paused: 'statePaused',
  cooling: 'stateCooling',
  probing: 'stateProbing',
  skipped: 'stateSkipped',
};

/** Names of the token sources that get no token: their upstreams cannot be called, whatever their state is. */
export function unusableTokens(tokens: AdminTokens | null): ReadonlySet<string> {
  // Others without a usable token get one with the next request.
  const isStuck = ({ is_usable, state }: AdminToken): boolean =>
    !is_usable && (state === 'starved' || state === 'misconfigured');
  return new Set((tokens?.tokens ?? []).filter(isStuck).map((token) => token.name));
}

export function lacksToken(upstream: AdminUpstream, withoutToken: ReadonlySet<string>): boolean {
  return upstream.token !== null && withoutToken.has(upstream.token);
}

export function canServe(upstream: AdminUpstream, withoutToken: ReadonlySet<string>): boolean {
  return upstream.state === 'up' && !lacksToken(upstream, withoutToken);
}

export function UpstreamBadge({
  upstream,
  withoutToken,
}: {
  readonly upstream: AdminUpstream;
  readonly withoutToken: ReadonlySet<string>;
}) {
  if (upstream.state === 'up' && lacksToken(upstream, withoutToken)) {
    return <Badge kind="fail">{t('stateNoToken')}</Badge>;
  }
  return <Badge kind={KINDS[upstream.state]}>{t(TEXTS[upstream.state])}</Badge>;
}
