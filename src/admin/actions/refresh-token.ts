import type { TokenManager } from '../../tokens/manager/token-manager.ts';
import type { AdminParts } from '../admin-parts.ts';
import type { AdminTokenRefresh } from '../api-types.ts';
import type { TokenHistory } from '../live/token-history.ts';
import { tokenView } from '../views/token-view.ts';

/** Obtains a new token now. A failure is a result, not an error: the one in use stays. */
export async function refreshToken(
  manager: TokenManager,
  parts: AdminParts,
  history: TokenHistory,
): Promise<AdminTokenRefresh> {
  const { clock } = parts;
  const startedMonoMs = clock.monoMs();
  let failure: string | null = null;
  try {
    await manager.refresh();
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  const duration_ms = Math.round(clock.monoMs() - startedMonoMs);
  return {
    is_ok: failure === null,
    duration_ms,
    message: failure ?? `A new token was obtained in ${duration_ms} ms.`,
    token: tokenView(manager, parts.state(), history, clock.wallMs()),
  };
}
