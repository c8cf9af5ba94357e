/**
 * `npm run measure:page`: how long the page takes to show a view and to apply a filter, in a real browser, with a million
 * recorded requests. `-- --rows 100000 --runs 5`. Each number is the median of the runs.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Database from 'better-sqlite3';
import type { Page } from 'playwright-core';
import { backfillSql } from '../src/request-log/request-stats.ts';
import { migrate } from '../src/request-log/sqlite/sqlite-migrations.ts';
import { PageStage, VIEWS } from '../test/browser/page-stage.ts';
import { buildPage, isPageStale } from './page-build.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: { rows: { type: 'string', default: '1000000' }, runs: { type: 'string', default: '5' } },
});
const rows = Number(values.rows);
const runs = Number(values.runs);

const FILTERS: readonly string[] = [
  'errors=1',
  'model=model-3',
  'client=client-7',
  'upstream=upstream-2',
  'status=502',
  'outcome=rate_limited',
  'text=req-500000',
  'range=hour',
  'client=rare',
  'model=model-3&errors=1',
];

/** Two weeks of requests of 20 clients to 8 models; every twentieth failed. */
function fill(file: string): void {
  const database = new Database(file);
  database.pragma('journal_mode = WAL');
  migrate(database, file);
  database
    .prepare(
      `INSERT INTO tokenferry_requests
         (id, created_at, hostname, client, ip, user_agent, method, path, model, upstream_model, upstream, stream, status,
          outcome, attempts, first_token_ms, elapsed_ms, prompt_tokens, completion_tokens, total_tokens, request_bytes,
          response_bytes, error_code, error_message)
       WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < @rows)
       SELECT 'req-' || n, @now - CAST((@rows - n) * (1209600000.0 / @rows) AS INTEGER), 'node-1',
         CASE WHEN n = 1000 THEN 'rare' ELSE 'client-' || (n % 20) END, '10.0.0.1', 'openai-python', 'POST',
         '/v1/chat/completions', 'model-' || (n % 8), 'model-' || (n % 8), 'upstream-' || (n % 5), n % 2,
         CASE n % 60 WHEN 0 THEN 502 WHEN 20 THEN 400 WHEN 40 THEN 429 ELSE 200 END,
         CASE n % 60 WHEN 0 THEN 'upstream_error' WHEN 20 THEN 'client_error' WHEN 40 THEN 'rate_limited' ELSE 'ok' END,
         '[{"upstream":"upstream-' || (n % 5) || '","outcome":"ok","status":200,"ms":' || (n % 3000) || '}]',
         n % 900, n % 3000, n % 4000, n % 700, n % 4000 + n % 700, 1200, 3400,
         CASE WHEN n % 20 = 0 THEN 'upstream_unreachable' END, CASE WHEN n % 20 = 0 THEN 'connection refused' END
       FROM numbers`,
    )
    .run({ rows, now: Date.now() });
  // The sums that are written with records.
  database.exec(`DELETE FROM tokenferry_stats; ${backfillSql('INTEGER')}`);
  database.close();
}

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((left, right) => left - right)[Math.floor(numbers.length / 2)] ?? 0;

/** Nothing of the view is still loading. */
async function isShown(page: Page): Promise<void> {
  await page.locator('main h1').waitFor({ state: 'attached' });
  await page.locator('main .loading').first().waitFor({ state: 'detached' });
}

/** In the page: from the new address to the requests that it shows. */
const FILTERING = `new Promise((done) => {
  const startedMs = performance.now();
  history.pushState(null, '', location.pathname + '?FILTER');
  dispatchEvent(new PopStateEvent('popstate'));
  const look = () => {
    if (document.querySelector('main .loading') === null) done(performance.now() - startedMs);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(() => requestAnimationFrame(look));
})`;

const folder = mkdtempSync(join(tmpdir(), 'tokenferry-page-'));
if (isPageStale(root) && !buildPage(root)) process.exit(1);
let stage: PageStage | null = null;
try {
  const dbaddr = join(folder, 'db.sqlite');
  fill(dbaddr);
  stage = await PageStage.start({ dbaddr });
  const page = await stage.openPage();
  const { url } = stage.gateway;
  for (const view of VIEWS) {
    const [paints, wholes]: [number[], number[]] = [[], []];
    for (let run = 0; run < runs; run += 1) {
      await page.goto(`${url}/ui/${view}`);
      await isShown(page);
      wholes.push(Number(await page.evaluate('performance.now()')));
      paints.push(
        Number(await page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")),
      );
    }
    const name = (view === '' ? 'now' : view).padEnd(26);
    console.log(
      `${name} first paint ${Math.round(median(paints))} ms, with all data ${Math.round(median(wholes))} ms`,
    );
  }
  for (const filter of FILTERS) {
    const times: number[] = [];
    for (let run = 0; run < runs; run += 1) {
      await page.goto(`${url}/ui/requests`);
      await isShown(page);
      times.push(Number(await page.evaluate(FILTERING.replace('FILTER', filter))));
    }
    console.log(`${filter.padEnd(26)} ${Math.round(median(times))} ms`);
  }
} finally {
  await stage?.close();
  rmSync(folder, { recursive: true, force: true });
}
