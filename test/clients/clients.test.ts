import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CLIENTS, versionOf } from './clients.ts';
import { type Ferry, startFerry } from './ferry.ts';
import { type Matrix, readMatrix } from './matrix.ts';

let ferry: Ferry;

before(async () => {
  ferry = await startFerry();
});

after(() => ferry.close());

for (const client of CLIENTS) {
  test(`S132 ${client.name} reads every answer as from the upstream itself, and every error`, async (context) => {
    context.diagnostic(`${client.name} ${versionOf(client)}`);
    const matrix = await readMatrix(client, ferry);
    for (const [column, verdicts] of matrix) {
      await context.test(column, () => assert.deepEqual(failuresOf(verdicts), []));
    }
  });
}

function failuresOf(verdicts: Matrix extends Map<string, infer Column> ? Column : never): string[] {
  return [...verdicts].flatMap(([vector, wrong]) => (wrong === null ? [] : [`${vector}: ${wrong}`]));
}
