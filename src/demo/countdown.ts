import type { TokenStatus } from '../tokens/manager/token-status.ts';

const BAR_WIDTH = 24;

/** `4:07`; negative durations are 0:00. */
function minutesAndSeconds(durationMs: number): string {
  const seconds = Math.max(0, Math.round(durationMs / 1000));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** One line about the token in use: its number, how much of its life is left, when the next one is fetched. */
export function countdownLine(token: TokenStatus): string {
  if (token.remainingMs === null) return `no token yet (${token.state})${reason(token)}`;
  const next =
    token.nextAttemptInMs === null ? '' : ` · renewal in ${minutesAndSeconds(token.nextAttemptInMs)}`;
  const bar = barOf(token.remainingMs / (token.lifeMs ?? token.remainingMs));
  return `token ${token.generation} ${bar} ends in ${minutesAndSeconds(token.remainingMs)} · ${token.state}${next}${reason(token)}`;
}

function reason(token: TokenStatus): string {
  return token.consecutiveFailures > 0 && token.lastError !== null ? ` · ${token.lastError}` : '';
}

function barOf(share: number): string {
  const full = Math.round(Math.min(1, Math.max(0, share)) * BAR_WIDTH);
  return '█'.repeat(full) + '░'.repeat(BAR_WIDTH - full);
}
