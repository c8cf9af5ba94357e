import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/config.ts';
import { clientAuthSettings } from '../../gateway/clients.ts';
import { requestLogSettings } from '../../gateway/server.ts';
import { systemClock } from '../../lib/clock.ts';
import { SecretRegistry, sha256Hex } from '../../lib/secret.ts';
import { counted } from '../../lib/text/format.ts';
import { type ImportNames, importedId, importedRecord } from '../../request-log/import/imported-record.ts';
import { type RouteRecord, readRouteRecords } from '../../request-log/import/openai-api-route-database.ts';
import { createRequestLog, type RequestLog } from '../../request-log/request-log.ts';
import { StoreError } from '../../request-log/request-store.ts';
import { CommandFailure, loadOrThrow } from '../arguments.ts';

/** The longest page that a search of the request log returns. */
const SEARCHED_ROWS = 1_000;
/** Rows that wait for the database; more are not read yet. */
const MAX_WAITING = 1_000;
const WAIT_MS = 10;
const CLOSE_MS = 60_000;

/** `tokenferry import --records`: copies openai-api-route's records into the database of the configuration. */
export async function importRecords(address: string, configFile: string | undefined): Promise<number> {
  const { config, secrets } = loadOrThrow(configFile);
  if (config.dbtype === 'none')
    throw new CommandFailure(2, 'The configuration has dbtype: none. Set dbtype: sqlite, or postgres.');
  const registry = new SecretRegistry();
  for (const secret of secrets) registry.add(secret.reveal());
  const log = createRequestLog(requestLogSettings(config), {
    clock: systemClock,
    secrets: registry,
    random: () => 0,
    onEvent: () => undefined,
  });
  try {
    return await new RecordImport(config, log, registry).run(address);
  } catch (error) {
    if (error instanceof StoreError) throw new CommandFailure(1, error.message, error);
    throw error;
  } finally {
    await log.close(CLOSE_MS);
  }
}

class RecordImport {
  readonly #config: Config;
  readonly #log: RequestLog;
  readonly #secrets: SecretRegistry;
  readonly #identities: ReturnType<typeof clientAuthSettings>['identities'];
  #copied = 0;
  #known = 0;
  #expired = 0;
  readonly #unnamedUpstreams = new Set<string>();

  constructor(config: Config, log: RequestLog, secrets: SecretRegistry) {
    this.#config = config;
    this.#log = log;
    this.#secrets = secrets;
    this.#identities = clientAuthSettings(config).identities;
  }

  async run(address: string): Promise<number> {
    const { retention } = this.#config.record;
    const oldestMs = retention === 0 ? 0 : Date.now() - retention;
    for await (const rows of readRouteRecords(address)) {
      const kept = rows.filter(({ createdAtMs }) => createdAtMs >= oldestMs);
      this.#expired += rows.length - kept.length;
      await this.#copy(kept);
    }
    await this.#waitUntilWritten(0);
    this.#report();
    return this.#log.stats().dropped === 0 ? 0 : 1;
  }

  async #copy(rows: readonly RouteRecord[]): Promise<void> {
    const before = await this.#copiedBefore(rows);
    const news = rows.filter((row) => !before.has(importedId(row)));
    this.#known += rows.length - news.length;
    this.#copied += news.length;
    // Its records hold the credentials of both sides, which may stand in its bodies as well.
    for (const { upstreamKey, authorization } of news)
      for (const secret of [upstreamKey, keyOf(authorization)]) if (secret !== '') this.#secrets.add(secret);
    const scrub = (text: string): string => this.#secrets.scrub(text);
    this.#log.acceptRecords(news.map((row) => importedRecord(row, this.#namesOf(row), scrub)));
    await this.#waitUntilWritten(MAX_WAITING);
  }

  /** The ids of those that an earlier import has copied: one search for all unless too much else is of the same time. */
  async #copiedBefore(rows: readonly RouteRecord[]): Promise<ReadonlySet<string>> {
    if (rows.length === 0) return new Set();
    const times = rows.map(({ createdAtMs }) => createdAtMs);
    const range = { sinceMs: Math.min(...times), untilMs: Math.max(...times) + 1 };
    const page = await this.#log.recent(range, { limit: SEARCHED_ROWS });
    const found = new Set(page.requests.map(({ id }) => id));
    if (page.next === null) return found;
    for (const id of rows.map(importedId)) {
      const { requests } = await this.#log.recent({ id }, { limit: 1 });
      if (requests.length > 0) found.add(id);
    }
    return found;
  }

  async #waitUntilWritten(maxWaiting: number): Promise<void> {
    while (this.#log.stats().queued > maxWaiting) {
      const { problem } = this.#log;
      if (problem !== null) throw new CommandFailure(1, problem);
      await sleep(WAIT_MS);
    }
  }

  #namesOf({ authorization, upstreamEndpoint, upstreamKey }: RouteRecord): ImportNames {
    const client = this.#identities.get(sha256Hex(keyOf(authorization)))?.name ?? null;
    const { upstreams } = this.#config;
    const same = upstreams.filter(
      ({ endpoint }) => endpoint !== null && isSameUrl(endpoint, upstreamEndpoint),
    );
    const exact = same.find(({ sk }) => sk !== null && sk !== 'asis' && sk.reveal() === upstreamKey);
    const upstream = exact ?? same[0] ?? null;
    if (upstream === null && upstreamEndpoint !== '') this.#unnamedUpstreams.add(upstreamEndpoint);
    return { client, upstream: upstream?.name ?? null };
  }

  #report(): void {
    const { dropped } = this.#log.stats();
    const { content } = this.#config.record;
    console.log(`${counted(this.#copied - dropped, 'record')} copied into ${this.#config.dbtype}.`);
    if (this.#known > 0) console.log(`${counted(this.#known, 'record')} had been copied before.`);
    if (this.#expired > 0)
      console.log(`${counted(this.#expired, 'record')} left out: older than record.retention.`);
    if (dropped > 0) console.log(`${counted(dropped, 'record')} could not be written.`);
    console.log('Keys of upstreams and clients were left out; clients and upstreams have their names here.');
    if (content !== 'all') console.log(`Bodies were left out (record.content: ${content}).`);
    if (this.#unnamedUpstreams.size > 0)
      console.log(
        `Without a name, as the configuration does not have them: ${[...this.#unnamedUpstreams].join(', ')}`,
      );
  }
}

/** What openai-api-route compared: the header without "Bearer". */
function keyOf(authorization: string): string {
  return authorization.replace(/^Bearer/, '').trim();
}

function isSameUrl(ours: string, theirs: string): boolean {
  return ours.replace(/\/+$/, '') === theirs.replace(/\/+$/, '');
}
