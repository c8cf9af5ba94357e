import type { AdminToken } from '../../../src/admin/api-types.ts';
import { nowMs } from '../api/live.ts';
import { t } from '../i18n/language.ts';
import { formatDuration } from '../lib/format.ts';
import { clock } from './time.tsx';

/**
 * How much of a token's life is left, running down, with the moment of its renewal marked. `loadedAtMs`: the gateway's time
 * when the token's state was read.
 */
export function TokenBar({ token, loadedAtMs }: { readonly token: AdminToken; readonly loadedAtMs: number }) {
  void clock.value;
  const { life_ms: life, expires_at_ms: expiresAt } = token;
  if (life === null || expiresAt === null) {
    return <div class="bar-text quiet">{token.is_usable ? t('tokenNeverExpires') : token.description}</div>;
  }
  const left = Math.max(0, expiresAt - nowMs());
  const share = Math.min(1, left / life);
  const text =
    left === 0
      ? t('tokenExpired')
      : t('tokenLeft', { left: formatDuration(left), life: formatDuration(life) });
  const renewalIn = token.next_renewal_in_ms;
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
      <div class="bar-text">{text}</div>
    </div>
  );
}
