import type { AdminUpstreamState } from '../../../src/admin/api-types.ts';
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

export function UpstreamBadge({ state }: { readonly state: AdminUpstreamState }) {
  return <Badge kind={KINDS[state]}>{t(TEXTS[state])}</Badge>;
}
