import { dirname } from 'node:path';
import { buildTokenManagers } from '../gateway/tokens.ts';
import { systemClock } from '../lib/clock.ts';
import { SecretRegistry } from '../lib/secret.ts';
import type { Lease } from '../tokens/manager/lease.ts';
import { describeTokenEvent } from '../tokens/manager/token-event.ts';
import type { TokenStatus } from '../tokens/manager/token-status.ts';
import { loadOrThrow, readArguments, UsageError, withUsage } from './config-argument.ts';
import { endsTheOther } from './ended-token.ts';

const USAGE = 'usage: tokenferry token NAME [--config FILE] [--refresh] [--show]';

/** `tokenferry token NAME`: obtains a token and prints its life and source; its value only with `--show`. */
export async function token(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const { values, positionals } = readArguments(
      args,
      {
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
        `Name one of the token sources of the configuration: ${names.join(', ') || '(there are none)'}.`,
      );
    }
    const secrets = new SecretRegistry();
    for (const secret of loaded.secrets) secrets.add(secret.reveal());
    const cost = endsTheOther(name, loaded.config.tokens[name]);
    if (cost !== null) console.error(cost);
    const tokenManagers = buildTokenManagers(loaded.config, {
      secrets,
      clock: systemClock,
      baseDir: dirname(loaded.files[0] ?? '.'),
      onEvent: (event) => {
        // Nobody but this command waits.
        if (event.kind !== 'waited') console.error(describeTokenEvent(event));
      },
    });
    const manager = tokenManagers.get(name);
    if (manager === undefined) return 1;
    try {
      const lease = values.refresh === true ? await manager.refresh() : await manager.get();
      tell(lease, manager.status());
      if (values.show === true) console.log(`value        ${lease.secret.reveal()}`);
      return 0;
    } catch (error) {
      console.error((error as Error).message);
      return 1;
    } finally {
      await Promise.all(Array.from(tokenManagers.values(), (one) => one.stop()));
    }
  });
}

function tell(lease: Lease, { name, kind, lifeMs, remainingMs, generation }: TokenStatus): void {
  console.log(`source       ${name} (${kind})`);
  console.log(`life         ${seconds(lifeMs)}`);
  console.log(`time left    ${seconds(remainingMs)}`);
  console.log(`generation   ${generation}`);
  console.log(`fingerprint  ${lease.fingerprint}`);
}

function seconds(durationMs: number | null): string {
  return durationMs === null ? 'unknown' : `${(durationMs / 1000).toFixed(1)} s`;
}
