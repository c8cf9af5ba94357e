import { dirname } from 'node:path';
import type { LoadedConfig } from '../config/load/load-config.ts';
import { buildTokenManagers } from '../gateway/tokens.ts';
import { buildUpstreams } from '../gateway/upstreams.ts';
import { systemClock } from '../lib/clock.ts';
import { FerryError } from '../lib/errors/ferry-error.ts';
import { SecretRegistry } from '../lib/secret.ts';
import { readModelsResponse } from '../openai/models/models-response.ts';
import type { Repair } from '../openai/vendors/repairs.ts';
import { checkStore } from '../request-log/store-check.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';
import type { TokenManager } from '../tokens/manager/token-manager.ts';
import { type UpstreamResponse, UpstreamStatusError } from '../upstream/response.ts';
import { durationArgument, loadOrThrow, readArguments, withUsage } from './arguments.ts';
import { revocationWarning } from './token.ts';

const USAGE = `usage: tokenferry check [--config FILE] [--wait 15s]

  --wait  how long each token source and each upstream is asked; longer than any healthy one needs`;

/** Of something that takes longer, it is said what is waited for. */
const QUIET_MS = 2_000;
/** A longer list of models is not looked at. */
const MAX_LIST_BYTES = 8 * 1024 * 1024;

/**
 * `tokenferry check`: the configuration, every token source and every upstream, all at once, a line for each as soon as it
 * is known; exit code 1 when one fails.
 */
export async function check(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const { values } = readArguments(args, { wait: { type: 'string', default: '15s' } });
    const patienceMs = durationArgument('--wait', values.wait);
    const loaded = loadOrThrow(values.config);
    for (const warning of loaded.warnings) console.log(`warn  ${warning}`);
    console.log(`ok    configuration ${loaded.files[0] ?? ''}`);
    for (const [name, source] of Object.entries(loaded.config.tokens)) {
      const cost = revocationWarning(name, source);
      if (cost !== null) console.log(`warn  token ${cost}`);
    }
    return checkParts(loaded, patienceMs);
  });
}

async function checkParts(
  { config, secrets: known, files }: LoadedConfig,
  patienceMs: number,
): Promise<number> {
  const secrets = new SecretRegistry();
  for (const secret of known) secrets.add(secret.reveal());
  const tokenManagers = buildTokenManagers(config, {
    secrets,
    clock: systemClock,
    baseDir: dirname(files[0] ?? '.'),
    onEvent: () => {},
  });
  const { upstreams, skipped } = buildUpstreams(config, {
    tokenManagers,
    clock: systemClock,
    onCircuit: () => {},
  });
  const { dbtype: type, dbaddr: path } = config;
  const results = [
    ...skipped.map(({ name, defect }) => report(false, `upstream ${name}: ${defect}`)),
    ...(await Promise.all([
      ...(type === 'none' ? [] : [checkRequestLog({ type, path })]),
      ...Array.from(tokenManagers.values(), (manager) => checkToken(manager, patienceMs)),
      ...upstreams.map((upstream) => checkUpstream(upstream, patienceMs)),
    ])),
  ];
  await Promise.all(Array.from(tokenManagers.values(), (manager) => manager.stop()));
  await Promise.all(upstreams.map(({ client }) => client.close()));
  return results.every((isGood) => isGood) ? 0 : 1;
}

async function checkRequestLog(address: Parameters<typeof checkStore>[0]): Promise<boolean> {
  try {
    await checkStore(address);
    return report(true, `request log: the ${address.type} database can be written`);
  } catch (error) {
    return report(false, `request log: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function checkToken(manager: TokenManager, patienceMs: number): Promise<boolean> {
  const what = `token ${manager.name}`;
  try {
    const lease = await patiently(manager.get({ maxWaitMs: patienceMs }), () => {
      const error = manager.status().lastError;
      return `${what}: ${error === null ? 'no answer yet; asked' : `${error}; asked again`} for up to ${patienceMs / 1000} s`;
    });
    return report(true, `${what}: obtained, ${Math.round(lease.remainingMs() / 1000)} s left`);
  } catch {
    return report(
      false,
      `${what}: ${manager.status().lastError ?? `no token within ${patienceMs / 1000} s`}`,
    );
  }
}

async function checkUpstream({ name, client }: RoutedUpstream, patienceMs: number): Promise<boolean> {
  const what = `upstream ${name}`;
  try {
    const reply = await patiently(client.fetchModels(patienceMs), () =>
      // Of its token there is a line already.
      client.hasToken() ? `${what}: no answer yet; asked for up to ${patienceMs / 1000} s` : null,
    );
    const repairs = await modelsRepairs(reply);
    const repaired = repairs.length === 0 ? '' : ` (repaired in its list of models: ${repairs.join(', ')})`;
    return report(true, `${what}: answers${repaired}`);
  } catch (error) {
    if (error instanceof UpstreamStatusError) return judgeStatus(what, error.response.status);
    if (!(error instanceof FerryError)) return report(false, `${what}: ${String(error)}`);
    if (error.kind === 'token_unavailable')
      return report(false, `${what}: not asked, because there is no token for it`);
    return report(false, `${what}: ${error.message.replace(/^Upstream "[^"]*":? /, '')}`);
  }
}

/** The repairs that a list of models needed; none when the list does not come or is none: the upstream answers all the same. */
async function modelsRepairs({ body }: UpstreamResponse): Promise<Repair[]> {
  const repairs = new Set<Repair>();
  const timer = setTimeout(() => body.destroy(new Error('the list of models is not needed')), QUIET_MS);
  try {
    readModelsResponse(await body.readAll(MAX_LIST_BYTES), 0, (repair) => repairs.add(repair));
  } catch {
    repairs.clear();
  } finally {
    clearTimeout(timer);
    body.destroy(new Error('the list of models was read'));
  }
  return [...repairs];
}

/** Many gateways do not list models; that they answer at all, and not with a refusal, is what counts. */
function judgeStatus(what: string, status: number): boolean {
  if (status === 401 || status === 403) return report(false, `${what}: refuses the credentials (${status})`);
  if (status >= 500) return report(false, `${what}: answers GET /models with ${status}`);
  const meaning =
    status === 404 ? "it lists no models, or the endpoint's path is wrong" : 'it lists no models';
  return report(true, `${what}: answers (GET /models gives ${status}: ${meaning})`);
}

/** As `work` ends; while it has not, what `tell` says is printed once. Null: nothing. */
async function patiently<Result>(work: Promise<Result>, tell: () => string | null): Promise<Result> {
  const timer = setTimeout(() => {
    const text = tell();
    if (text !== null) console.log(`wait  ${text}`);
  }, QUIET_MS);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

function report(isGood: boolean, text: string): boolean {
  console.log(`${isGood ? 'ok   ' : 'FAIL '} ${text}`);
  return isGood;
}
