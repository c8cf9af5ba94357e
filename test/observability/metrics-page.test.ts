import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Metrics } from '../../src/observability/metrics.ts';
import { Gateway } from '../helpers/gateway.ts';
import { refusingUrl } from '../helpers/raw-upstream.ts';
import { failedRecord, sampleRecord } from '../request-log/sample-record.ts';

interface DocumentedMetric {
  readonly name: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly query: string;
}

const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');

/** The rows of the tables in docs/metrics.md. */
const documented: readonly DocumentedMetric[] = page
  .split('\n')
  .filter((line) => line.startsWith('| `tokenferry_'))
  .map((line) => {
    const [, name = '', type = '', labels = '', , query = ''] = line
      .split(/(?<!\\)\|/)
      .map((cell) => cell.trim());
    return { name: name.replaceAll('`', ''), type, labels: wordsIn(labels), query };
  });

function wordsIn(cell: string): string[] {
  return Array.from(cell.matchAll(/`(\w+)`/g), ([, word = '']) => word);
}

/** Names and types of all metrics of tokenferry in a text for Prometheus. */
function typesIn(text: string): string[] {
  return Array.from(
    text.matchAll(/^# TYPE (tokenferry_\w+) (\w+)$/gm),
    ([, name, type]) => `${name} ${type}`,
  );
}

/** The labels of the first series of a metric, without `le`; null: it has no series. */
function labelsIn(text: string, name: string): string[] | null {
  const line = text.split('\n').find((one) => new RegExp(`^${name}(_bucket)?[{ ]`).test(one));
  if (line === undefined) return null;
  return Array.from(line.matchAll(/[{,](\w+)="/g), ([, label = '']) => label).filter(
    (label) => label !== 'le',
  );
}

test('docs/metrics.md has every metric of a running gateway, and no other, with its type', async () => {
  await using gateway = await Gateway.start({
    upstreams: [{ name: 'lone', endpoint: await refusingUrl(), sk: 'key-of-lone', allow: ['m'] }],
  });
  const text = await gateway.metrics();
  assert.deepEqual(typesIn(text).sort(), documented.map(({ name, type }) => `${name} ${type}`).sort());
  assert.match(text, /^tokenferry_build_info\{version="\d+\.\d+\.\d+",node="\d+\.\d+\.\d+"\} 1$/m);
});

test('docs/metrics.md names the labels of each metric', async () => {
  const metrics = new Metrics({
    hasProcessMetrics: false,
    upstreamGauges: () => [
      { upstream: 'chat', isUp: true, isCooling: false, waiting: 0, rates: [{ model: 'm', perSecond: 3 }] },
    ],
    embeddingsCache: () => ({
      entries: 1,
      bytes: 1,
      evictions: 1,
      faults: 1,
      upstreams: [{ upstream: 'chat', hits: 1, misses: 1, savedTokens: 1 }],
    }),
    tokenGauges: () => [{ source: 'corp', remainingSeconds: 1, state: 'fresh' }],
  });
  metrics.requests.acceptRecords([sampleRecord(), failedRecord()]);
  metrics.repairCount('chat', 'usage').responses = 1;
  metrics.queueWaited('chat', 1);
  metrics.alerted('feishu', 'upstream_down', 'sent');
  metrics.tokens.acquired('corp', 'start', 'ok', 1);
  metrics.tokens.waited('corp', 1);
  metrics.tokens.rejected('corp', 401);
  metrics.tokens.replayed('corp', 'ok');
  metrics.tokens.sameReturned('corp');
  metrics.tokens.rejectedEarly('corp');
  metrics.tokens.issuerSkew('corp', 1);
  const text = await metrics.text();
  for (const { name, labels } of documented) assert.deepEqual(labelsIn(text, name), labels, name);
});

test('every query names its own metric', () => {
  for (const { name, query } of documented) assert.ok(query.includes(name), name);
});
