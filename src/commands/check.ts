import { dirname } from 'node:path';
import { systemClock } from '../clock.ts';
import { FerryError } from '../errors.ts';
import type { RoutedUpstream } from '../routing/routed-upstream.ts';
import { SecretRegistry } from '../secret.ts';
import { buildHolders } from '../service/tokens.ts';
import { buildUpstreams } from '../service/upstreams.ts';
import type { TokenHolder } from '../tokens/token-holder.ts';
import { UpstreamStatusError } from '../upstream/sdk-client.ts';
import { loadOrThrow, readArguments, withUsage } from './config-argument.ts';

const USAGE = 'usage: tokenferry check [--config FILE]';
/** Longer than any healthy issuer takes for a token, and any healthy upstream to list its models. */
const PATIENCE_MS = 15_000;

/** `tokenferry check`: the configuration, every token source and every upstream; exit code 1 when one fails. */
export async function check(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const loaded = loadOrThrow(readArguments(args, {}).values.config);
    const secrets = new SecretRegistry();
    for (const secret of loaded.secrets) secrets.add(secret.reveal());
    for (const warning of loaded.warnings) console.log(`warn  ${warning}`);
    console.log(`ok    configuration ${loaded.files[0] ?? ''}`);
    const holders = buildHolders(loaded.config, {
      secrets,
      clock: systemClock,
      baseDir: dirname(loaded.files[0] ?? '.'),
      onEvent: () => {},
    });
    const { upstreams, skipped } = buildUpstreams(loaded.config, {
      holders,
      clock: systemClock,
      onCircuit: () => {},
    });
    const results = [
      ...skipped.map(({ name, defect }) => report(false, `upstream ${name}: ${defect}`)),
      ...(await Promise.all([...Array.from(holders.values(), checkToken), ...upstreams.map(checkUpstream)])),
    ];
    await Promise.all(Array.from(holders.values(), (holder) => holder.stop()));
    await Promise.all(upstreams.map(({ client }) => client.close()));
    return results.every((isGood) => isGood) ? 0 : 1;
  });
}

async function checkToken(holder: TokenHolder): Promise<boolean> {
  try {
    const lease = await holder.get({ maxWaitMs: PATIENCE_MS });
    return report(true, `token ${holder.name}: obtained, ${Math.round(lease.remainingMs() / 1000)} s left`);
  } catch (error) {
    return report(false, `token ${holder.name}: ${holder.status().lastError ?? (error as Error).message}`);
  }
}

async function checkUpstream(upstream: RoutedUpstream): Promise<boolean> {
  try {
    const reply = await upstream.client.askModels(PATIENCE_MS);
    reply.body.destroy(new Error('seen enough'));
    return report(true, `upstream ${upstream.name}: answers`);
  } catch (error) {
    if (error instanceof UpstreamStatusError) return judgeStatus(upstream.name, error.reply.status);
    const why = error instanceof FerryError ? error.message : String(error);
    return report(false, `upstream ${upstream.name}: ${why}`);
  }
}

/** Many gateways do not list models; that they answer at all, and not with a refusal, is what counts. */
function judgeStatus(name: string, status: number): boolean {
  if (status === 401 || status === 403)
    return report(false, `upstream ${name}: refuses the credentials (${status})`);
  if (status >= 500) return report(false, `upstream ${name}: answers GET /models with ${status}`);
  return report(true, `upstream ${name}: answers (GET /models gives ${status}, it lists no models)`);
}

function report(isGood: boolean, text: string): boolean {
  console.log(`${isGood ? 'ok   ' : 'FAIL '} ${text}`);
  return isGood;
}
