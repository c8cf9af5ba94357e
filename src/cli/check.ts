import { type Config, type UpstreamConfig, upstreamDefect } from '../config/config.ts';
import type { LoadedConfig } from '../config/load/load-config.ts';
import { describeSigning } from '../gateway/request-signers.ts';
import { buildTokenManagers } from '../gateway/tokens.ts';
import { buildUpstreams } from '../gateway/upstreams.ts';
import { systemClock } from '../lib/clock.ts';
import { SecretRegistry } from '../lib/secret.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';
import type { TokenManager } from '../tokens/manager/token-manager.ts';
import { CONFIG_OPTION, durationArgument, loadOrThrow, readArguments, withUsage } from './arguments.ts';
import { type Finding, printFinding, withWaitLine } from './check-report.ts';
import {
  checkAddress,
  checkCertificateFiles,
  checkLogFile,
  checkRequestLog,
  checkServerCertificates,
  judgeClocks,
} from './machine-check.ts';
import { revocationWarning } from './token.ts';
import { UpstreamCheck } from './upstream-check.ts';

const USAGE = `usage: tokenferry check [--config FILE] [--wait 15s] [--chat] [--model NAME]

  --wait   how long each token source and each upstream is tried; the default is longer than a healthy one needs
  --chat   sends one chat of a few tokens to each upstream as well
  --model  the model of that chat; default: the first that is configured or listed and no embedding model

Exit code 0: no line says FAIL (warn is no failure). 1: at least one does. 2: the configuration cannot be used.`;

interface CheckSettings {
  readonly patienceMs: number;
  readonly isChatAsked: boolean;
  readonly model: string | null;
}

/**
 * `tokenferry check`: the configuration, this machine, every token source and every upstream, all at once, a line for each
 * as soon as it is known; exit code 1 when one fails.
 */
export async function check(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const { values } = readArguments(args, {
      ...CONFIG_OPTION,
      wait: { type: 'string', default: '15s' },
      chat: { type: 'boolean' },
      model: { type: 'string' },
    });
    const patienceMs = durationArgument('--wait', values.wait);
    const loaded = loadOrThrow(values.config);
    for (const warning of loaded.warnings) printFinding({ verdict: 'warn', text: warning });
    printFinding({ verdict: 'ok', text: `configuration ${loaded.files[0] ?? ''}` });
    for (const [name, source] of Object.entries(loaded.config.tokens)) {
      const cost = revocationWarning(name, source);
      if (cost !== null) printFinding({ verdict: 'warn', text: `token ${cost}` });
    }
    const model = values.model ?? null;
    const isChatAsked = values.chat === true || model !== null;
    return (await new Check(loaded, { patienceMs, isChatAsked, model }).run()) ? 0 : 1;
  });
}

/** Asks the token sources and upstreams of a configuration, as `check` does; prints nothing but what it waits for. */
export function checkConnections(loaded: LoadedConfig, settings: CheckSettings): Promise<Finding[]> {
  return new Check(loaded, settings).connections();
}

class Check {
  readonly #config: Config;
  readonly #directory: string;
  readonly #settings: CheckSettings;
  readonly #secrets = new SecretRegistry();
  readonly #tokenManagers: ReadonlyMap<string, TokenManager>;
  /** How far each server's clock is ahead, by what it is called in the output. */
  readonly #skewsMs = new Map<string, number>();

  constructor({ config, directory, secrets, credentialKeys }: LoadedConfig, settings: CheckSettings) {
    this.#config = config;
    this.#directory = directory;
    this.#settings = settings;
    for (const secret of secrets) this.#secrets.add(secret.reveal());
    this.#tokenManagers = buildTokenManagers(config, {
      secrets: this.#secrets,
      clock: systemClock,
      baseDir: directory,
      credentialKeys,
      sourceIdentities: new Map(),
      onEvent: (event) => {
        if (event.kind === 'acquired' && event.issuerSkewMs !== null)
          this.#skewsMs.set(`token ${event.source}`, event.issuerSkewMs);
      },
    });
  }

  /** True when nothing failed. */
  async run(): Promise<boolean> {
    const { patienceMs } = this.#settings;
    const { upstreams, skipped } = this.#build(this.#config);
    const results = await Promise.all([
      printed(skipped.map(({ name, defect }) => ({ verdict: 'fail', text: `upstream ${name}: ${defect}` }))),
      printed(checkAddress(this.#config)),
      printed(checkRequestLog(this.#config)),
      printed(checkLogFile(this.#config)),
      printed(checkCertificateFiles(this.#config, this.#directory)),
      printed(checkServerCertificates(this.#config, patienceMs)),
      ...Array.from(this.#tokenManagers.values(), (manager) => printed(this.#checkToken(manager))),
      ...upstreams.map((upstream) => printed(this.#checkUpstream(upstream))),
    ]);
    const readings = Array.from(this.#skewsMs, ([server, skewMs]) => ({ server, skewMs }));
    results.push(await printed(judgeClocks(readings, Date.now())));
    await Promise.all(Array.from(this.#tokenManagers.values(), (manager) => manager.stop()));
    await Promise.all(upstreams.map(({ client }) => client.close()));
    return results.every((isGood) => isGood);
  }

  async connections(): Promise<Finding[]> {
    const { upstreams } = this.#build(this.#config);
    const managers = [...this.#tokenManagers.values()];
    try {
      const tokens = await Promise.all(managers.map((manager) => this.#checkToken(manager)));
      const answers = await Promise.all(upstreams.map((upstream) => this.#checkUpstream(upstream)));
      return [...tokens.flat(), ...answers.flat()];
    } finally {
      await Promise.all(managers.map((manager) => manager.stop()));
      await Promise.all(upstreams.map(({ client }) => client.close()));
    }
  }

  async #checkToken(manager: TokenManager): Promise<Finding[]> {
    const { patienceMs } = this.#settings;
    const what = `token ${manager.name}`;
    try {
      const lease = await withWaitLine(manager.get({ maxWaitMs: patienceMs }), () => {
        const error = manager.status().lastErrorDetail;
        return `${what}: ${error === null ? 'no response yet; retrying' : `${error}; retrying`} for up to ${patienceMs / 1000} s`;
      });
      const seconds = Math.round(lease.remainingMs() / 1000);
      return [{ verdict: 'ok', text: `${what}: obtained, ${seconds} s left` }];
    } catch {
      const error = manager.status().lastErrorDetail ?? `no token within ${patienceMs / 1000} s`;
      return [{ verdict: 'fail', text: `${what}: ${error}` }];
    }
  }

  async #checkUpstream(upstream: RoutedUpstream): Promise<Finding[]> {
    const { name } = upstream;
    const config = this.#config.upstreams.find((one) => one.name === name && upstreamDefect(one) === null);
    const endpoint = config?.endpoint ?? null;
    const check = new UpstreamCheck(upstream, {
      ...this.#settings,
      endpoint: endpoint === null || config?.paths.models !== null ? null : new URL(endpoint),
      at: (other) => (config === undefined ? null : this.#upstreamAt(config, other)),
      scrub: (text) => this.#secrets.scrub(text),
      onDate: (serverMs, oursMs) => this.#skewsMs.set(`upstream ${name}`, serverMs - oursMs),
    });
    const signing = config === undefined ? null : describeSigning(config);
    const findings = await check.run();
    if (signing === null) return findings;
    return [{ verdict: 'ok', text: `upstream ${name}: each request is signed: ${signing}` }, ...findings];
  }

  #upstreamAt(upstream: UpstreamConfig, endpoint: URL): RoutedUpstream | null {
    const upstreams = [{ ...upstream, endpoint: endpoint.href }];
    return this.#build({ ...this.#config, upstreams }).upstreams[0] ?? null;
  }

  #build(config: Config) {
    const parts = { tokenManagers: this.#tokenManagers, clock: systemClock, onCircuit: () => {} };
    return buildUpstreams(config, parts);
  }
}

/** Prints findings when they are there; false when one is a failure. */
async function printed(findings: readonly Finding[] | Promise<readonly Finding[]>): Promise<boolean> {
  return (await findings).map(printFinding).every((isGood) => isGood);
}
