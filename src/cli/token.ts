import { dirname } from 'node:path';
import type { TokenSourceConfig } from '../config/config.ts';
import { buildTokenManagers } from '../gateway/tokens.ts';
import { systemClock } from '../lib/clock.ts';
import { SecretRegistry } from '../lib/secret.ts';
import type { Lease } from '../tokens/manager/lease.ts';
import { describeTokenEvent } from '../tokens/manager/token-event.ts';
import type { TokenStatus } from '../tokens/manager/token-status.ts';
import { TokenUnavailable } from '../tokens/manager/token-unavailable.ts';
import { CONFIG_OPTION, loadOrThrow, readArguments, UsageError, withUsage } from './arguments.ts';

const USAGE = 'usage: tokenferry token NAME [--config FILE] [--refresh] [--show]';

/** `tokenferry token NAME`: obtains a token and prints its lifetime and source; its value only with `--show`. */
export async function token(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const { values, positionals } = readArguments(
      args,
      {
        ...CONFIG_OPTION,
        refresh: { type: 'boolean' },
        show: { type: 'boolean' },
      },
      1,
    );
    const loaded = loadOrThrow(values.config);
    const names = Object.keys(loaded.config.tokens);
    const name = positionals[0] ?? (names.length === 1 ? names[0] : undefined);
    if (name === undefined || !names.includes(name)) {
      throw new UsageError(
        `NAME must be a token source of the configuration: ${names.join(', ') || '(none configured)'}.`,
      );
    }
    const secrets = new SecretRegistry();
    for (const secret of loaded.secrets) secrets.add(secret.reveal());
    const cost = revocationWarning(name, loaded.config.tokens[name]);
    if (cost !== null) console.error(cost);
    const tokenManagers = buildTokenManagers(loaded.config, {
      secrets,
      clock: systemClock,
      baseDir: dirname(loaded.files[0] ?? '.'),
      credentialKeys: loaded.credentialKeys,
      sourceIdentities: loaded.sourceIdentities,
      withTickets: true,
      onEvent: (event) => {
        // The wait of this command itself is no news.
        if (event.kind !== 'waited') console.error(describeTokenEvent(event));
      },
    });
    const manager = tokenManagers.get(name);
    if (manager === undefined) return 1;
    try {
      const lease = values.refresh === true ? await manager.refresh() : await manager.get();
      const isShown = values.show === true;
      // With --show standard output holds the value alone, so that TOKEN=$(tokenferry token corp --show) works.
      const print = isShown ? console.error : console.log;
      for (const line of describe(lease, manager.status())) print(line);
      if (isShown) console.log(lease.secret.reveal());
      return 0;
    } catch (error) {
      console.error(describeFailure(error as Error));
      return 1;
    } finally {
      await Promise.all(Array.from(tokenManagers.values(), (one) => one.stop()));
    }
  });
}

function describe(lease: Lease, { name, kind, lifeMs, remainingMs, generation }: TokenStatus): string[] {
  return [
    `source       ${name} (${kind})`,
    `lifetime     ${seconds(lifeMs)}`,
    `time left    ${seconds(remainingMs)}`,
    `generation   ${generation}`,
    `fingerprint  ${lease.fingerprint}`,
  ];
}

/** With the last error of the source, which names its host: here only its operator reads it. */
function describeFailure(error: Error): string {
  const detail = error instanceof TokenUnavailable ? error.detail : null;
  return detail === null || error.message.includes(detail) ? error.message : `${error.message} (${detail})`;
}

function seconds(durationMs: number | null): string {
  return durationMs === null ? 'unknown' : `${(durationMs / 1000).toFixed(1)} s`;
}

/** The effect of obtaining a token here on a running gateway; null when there is none. */
export function revocationWarning(name: string, source: TokenSourceConfig | undefined): string | null {
  if (source?.rotation !== 'exclusive' || source.share !== 'none') return null;
  return `${name}: rotation is exclusive and the token is not shared, so obtaining one here revokes the token of a running tokenferry`;
}
