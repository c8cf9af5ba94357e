import type { AdminToken, AdminTokenState } from '../../../src/admin/api-types.ts';
import { nowMs } from '../api/live.ts';
import { type TextKey, t } from '../i18n/language.ts';
import { formatDuration } from '../lib/format.ts';
import { clock } from './time.tsx';

const STATE_TEXTS: Record<AdminTokenState, TextKey> = {
  empty: 'tokenEmpty',
  acquiring: 'tokenAcquiring',
  fresh: 'tokenFresh',
  renewing: 'tokenRenewing',
  degraded: 'tokenDegraded',
  starved: 'tokenStarved',
  rejected: 'tokenIsRejected',
  misconfigured: 'tokenMisconfigured',
  dormant: 'tokenDormant',
  stopped: 'tokenStopped',
};

export function tokenStateText(token: AdminToken): string {
  return t(STATE_TEXTS[token.state]);
}

/**
 * How much of a token's life is left, running down, with the moment of its renewal marked. `loadedAtMs`: the gateway's time
 * when the token's state was read.
 */
export function TokenBar({ token, loadedAtMs }: { readonly token: AdminToken; readonly loadedAtMs: number }) {
  void clock.value;
  const { life_ms: life, expires_at_ms: expiresAt } = token;
  if (life === null || expiresAt === null) {
    // Without a token there is no bar; its state is in words beside its name.
    return token.is_usable ? <div class="bar-text quiet">{t('tokenNeverExpires')}</div> : null;
  }
  const left = Math.max(0, expiresAt - nowMs());
  const share = Math.min(1, left / life);
  const text =
    left === 0
      ? t('tokenExpired')
      : t('tokenLeft', { left: formatDuration(left), life: formatDuration(life) });
  const renewalIn = token.next_renewal_in_ms;
  const renewsInMs = renewalIn === null ? null : loadedAtMs + renewalIn - nowMs();
  const mark = renewalIn === null ? null : (expiresAt - (loadedAtMs + renewalIn)) / life;
  return (
    <div>
      <div
        class={`bar ${share < 0.15 ? 'bar-low' : ''} ${token.is_usable ? '' : 'bar-dead'}`}
        role="meter"
        aria-label={t('tokenLifeOf', { name: token.name })}
        aria-valuemin={0}
        aria-valuemax={Math.round(life / 1000)}
        aria-valuenow={Math.round(left / 1000)}
        aria-valuetext={text}
      >
        <div class="bar-fill" style={{ width: `${share * 100}%` }} />
        {mark !== null && mark > 0 && mark < 1 && (
          <div class="bar-mark" style={{ left: `${mark * 100}%` }} title={t('tokenRenewalMark')} />
        )}
      </div>
      <div class="bar-text">
        {text}
        {renewsInMs !== null && renewsInMs > 0 && ` · ${t('renewsIn', { time: formatDuration(renewsInMs) })}`}
      </div>
    </div>
  );
}
