import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { CLIENTS, type Client, type Platform, platformOf, versionOf } from './clients.ts';
import { closeFerry, type Ferry, startFerry } from './ferry.ts';
import { readMatrix } from './matrix.ts';
import { type ClientResult, RESULTS } from './results.ts';
import { readUnaided } from './unaided.ts';

/** The tests of all clients of one platform. With `WRITE_RESULTS` set, what they found is kept for the docs. */
export function testClients(platform: Platform): void {
  let ferry: Ferry;
  before(async () => {
    ferry = await startFerry();
  });
  after(() => closeFerry(ferry));
  for (const client of CLIENTS.filter((one) => platformOf(one) === platform)) {
    test(`S7 S8 S13 S89 S132 ${client.name} parses every response and every error as from a conforming upstream`, (context) =>
      testClient(client, ferry, context));
  }
}

async function testClient(client: Client, ferry: Ferry, context: TestContext): Promise<void> {
  const version = versionOf(client);
  const matrix = await readMatrix(client, ferry);
  const failures = new Map<string, string[]>();
  for (const [column, verdicts] of matrix) {
    const wrong = [...verdicts].flatMap(([vector, why]) => (why === null ? [] : [`${vector}: ${why}`]));
    failures.set(column, wrong);
    await context.test(`${client.name} ${version}: ${column}, ${verdicts.size} vectors`, () =>
      assert.deepEqual(wrong, []),
    );
  }
  if (process.env.WRITE_RESULTS === undefined || [...failures.values()].flat().length > 0) return;
  const unaided = await readUnaided(client, ferry);
  const columns = [...matrix].map(([column, verdicts]) => [column, verdicts.size]);
  const result: ClientResult = {
    client: client.name,
    version,
    columns: Object.fromEntries(columns),
    unaided: Object.fromEntries([...unaided].map(([vector, why]) => [vector, withoutAddress(why)])),
  };
  mkdirSync(RESULTS, { recursive: true });
  const file = `${client.name.toLowerCase().replaceAll(/[^a-z0-9.]+/g, '-')}.json`;
  writeFileSync(join(RESULTS, file), `${JSON.stringify(result, null, 2)}\n`);
}

/** Ports and addresses in memory differ in every run. */
function withoutAddress(text: string): string {
  return text.replaceAll(/127\.0\.0\.1:\d+|0x[0-9a-f]+/g, '…').slice(0, 120);
}
