/**
 * Writes deploy/grafana/tokenferry.json: the dashboard as code, for Grafana 10 or newer. `dashboard` is pure; a test compares
 * it with the file.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

type Unit = 'reqps' | 's' | 'percentunit' | 'short' | 'bytes' | 'cps' | 'none';

interface Panel {
  readonly title: string;
  readonly unit: Unit;
  readonly description: string;
  /** Each query with the text of its legend. */
  readonly queries: readonly (readonly [expr: string, legend: string])[];
  readonly kind?: 'timeseries' | 'stat' | 'table';
  /** Of 24 columns. */
  readonly width?: number;
}

interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** What the variables of the dashboard select. */
const REQUESTS = 'client=~"$client",model=~"$model",upstream=~"$upstream"';
const RATE = '$__rate_interval';

const ROWS: readonly Row[] = [
  {
    title: 'Requests',
    panels: [
      {
        title: 'Requests by outcome',
        unit: 'reqps',
        description: 'Finished requests a second.',
        queries: [
          [`sum by (outcome) (rate(tokenferry_requests_total{${REQUESTS}}[${RATE}]))`, '{{outcome}}'],
        ],
      },
      {
        title: 'Share of failures',
        unit: 'percentunit',
        description:
          'Requests that no upstream could serve or whose stream broke, of all that were not the fault of a client.',
        queries: [
          [
            `sum by (model) (rate(tokenferry_requests_total{${REQUESTS},outcome=~"upstream_error|stream_broken"}[${RATE}])) / sum by (model) (rate(tokenferry_requests_total{${REQUESTS},outcome!~"client_error|client_gone"}[${RATE}]))`,
            '{{model}}',
          ],
        ],
      },
      {
        title: 'Requests in flight',
        unit: 'short',
        description: 'Requests that are being served.',
        queries: [['sum by (instance) (tokenferry_inflight)', '{{instance}}']],
      },
      {
        title: 'Time of a request (95 %)',
        unit: 's',
        description: 'From its arrival to its end, streams included.',
        queries: [
          [
            `histogram_quantile(0.95, sum by (le, model) (rate(tokenferry_request_seconds_bucket{model=~"$model",upstream=~"$upstream"}[${RATE}])))`,
            '{{model}}',
          ],
        ],
      },
      {
        title: 'Time to the first content (50 %, 95 %)',
        unit: 's',
        description: 'From the arrival of a request to its first content.',
        queries: [
          [
            `histogram_quantile(0.5, sum by (le, model) (rate(tokenferry_first_token_seconds_bucket{model=~"$model",upstream=~"$upstream"}[${RATE}])))`,
            '{{model}} 50 %',
          ],
          [
            `histogram_quantile(0.95, sum by (le, model) (rate(tokenferry_first_token_seconds_bucket{model=~"$model",upstream=~"$upstream"}[${RATE}])))`,
            '{{model}} 95 %',
          ],
        ],
      },
      {
        title: 'Added by the gateway (99 %)',
        unit: 's',
        description: 'Time of a request in which no upstream was working.',
        queries: [
          [
            `histogram_quantile(0.99, sum by (le, path) (rate(tokenferry_overhead_seconds_bucket[${RATE}])))`,
            '{{path}}',
          ],
        ],
      },
    ],
  },
  {
    title: 'Tokens of models',
    panels: [
      {
        title: 'Tokens by client',
        unit: 'cps',
        description: 'Prompt and completion tokens a second.',
        queries: [
          [
            `sum by (client, kind) (rate(tokenferry_tokens_total{${REQUESTS}}[${RATE}]))`,
            '{{client}} {{kind}}',
          ],
        ],
      },
      {
        title: 'Tokens by model',
        unit: 'cps',
        description: 'Prompt and completion tokens a second.',
        queries: [
          [
            `sum by (model, kind) (rate(tokenferry_tokens_total{${REQUESTS}}[${RATE}]))`,
            '{{model}} {{kind}}',
          ],
        ],
      },
      {
        title: 'Tokens by upstream',
        unit: 'cps',
        description: 'Prompt and completion tokens a second.',
        queries: [
          [
            `sum by (upstream, kind) (rate(tokenferry_tokens_total{${REQUESTS}}[${RATE}]))`,
            '{{upstream}} {{kind}}',
          ],
        ],
      },
      {
        title: 'Use in the chosen time',
        unit: 'short',
        description: 'Tokens by client, model and upstream.',
        kind: 'table',
        width: 24,
        queries: [
          [
            `sum by (client, model, upstream, kind) (increase(tokenferry_tokens_total{${REQUESTS}}[$__range]))`,
            '',
          ],
        ],
      },
    ],
  },
  {
    title: 'Upstreams',
    panels: [
      {
        title: 'Available',
        unit: 'none',
        description: '1: the upstream is considered available on every gateway.',
        kind: 'stat',
        queries: [['min by (upstream) (tokenferry_upstream_up{upstream=~"$upstream"})', '{{upstream}}']],
      },
      {
        title: 'Cooling down',
        unit: 'percentunit',
        description: 'Share of the time in which the upstream cooled down.',
        queries: [
          [
            `avg by (upstream) (avg_over_time(tokenferry_upstream_cooling{upstream=~"$upstream"}[${RATE}]))`,
            '{{upstream}}',
          ],
        ],
      },
      {
        title: 'Attempts by outcome',
        unit: 'reqps',
        description: 'Attempts at each upstream a second.',
        queries: [
          [
            `sum by (upstream, outcome) (rate(tokenferry_attempts_total{upstream=~"$upstream"}[${RATE}]))`,
            '{{upstream}} {{outcome}}',
          ],
        ],
      },
      {
        title: 'Moves to another upstream',
        unit: 'reqps',
        description: 'From an upstream that failed, with the reason.',
        queries: [
          [
            `sum by (from, to, reason) (rate(tokenferry_failovers_total[${RATE}]))`,
            '{{from}} to {{to}}: {{reason}}',
          ],
        ],
      },
      {
        title: 'Waiting for a turn',
        unit: 'short',
        description: 'Requests that wait for a slot or for a turn at the rate of the upstream.',
        queries: [['sum by (upstream) (tokenferry_queue_length{upstream=~"$upstream"})', '{{upstream}}']],
      },
      {
        title: 'Time of waiting (95 %) and rate',
        unit: 'none',
        description: 'Seconds that requests waited, and the calls a second that the upstream permits.',
        queries: [
          [
            `histogram_quantile(0.95, sum by (le, upstream) (rate(tokenferry_queue_wait_seconds_bucket{upstream=~"$upstream"}[${RATE}])))`,
            '{{upstream}}: seconds',
          ],
          [
            'min by (upstream, model) (tokenferry_paced_calls_per_second{upstream=~"$upstream"})',
            '{{upstream}} {{model}}: calls a second',
          ],
        ],
      },
      {
        title: 'Repaired responses',
        unit: 'reqps',
        description: 'Responses that needed a repair before clients could read them.',
        queries: [
          [
            `sum by (upstream, repair) (rate(tokenferry_repairs_total{upstream=~"$upstream"}[${RATE}]))`,
            '{{upstream}} {{repair}}',
          ],
        ],
      },
    ],
  },
  {
    title: 'Token sources',
    panels: [
      {
        title: 'Remaining life',
        unit: 's',
        description: 'Of the current token; 0: there is none.',
        queries: [['min by (source) (tokenferry_token_remaining_seconds)', '{{source}}']],
      },
      {
        title: 'State',
        unit: 'none',
        description: 'Replicas in each state.',
        queries: [['sum by (source, state) (tokenferry_token_state)', '{{source}} {{state}}']],
      },
      {
        title: 'Failures in a row and waiting requests',
        unit: 'short',
        description: 'Failed acquisitions, and requests that wait for a token.',
        queries: [
          ['max by (source) (tokenferry_token_consecutive_failures)', '{{source}} failures'],
          ['sum by (source) (tokenferry_token_waiters)', '{{source}} waiting'],
        ],
      },
      {
        title: 'Acquisitions',
        unit: 'reqps',
        description: 'Token requests to issuers a second.',
        queries: [
          [
            `sum by (source, outcome) (rate(tokenferry_token_acquire_total[${RATE}]))`,
            '{{source}} {{outcome}}',
          ],
        ],
      },
      {
        title: 'Time of an issuer (95 %)',
        unit: 's',
        description: 'And the time that requests waited for a token.',
        queries: [
          [
            `histogram_quantile(0.95, sum by (le, source) (rate(tokenferry_token_acquire_seconds_bucket[${RATE}])))`,
            '{{source}} issuer',
          ],
          [
            `histogram_quantile(0.95, sum by (le, source) (rate(tokenferry_token_get_wait_seconds_bucket[${RATE}])))`,
            '{{source}} waiting',
          ],
        ],
      },
      {
        title: 'Rejected tokens',
        unit: 'reqps',
        description: 'By upstreams; early: well before their expiry.',
        queries: [
          [`sum by (source) (rate(tokenferry_token_rejections_total[${RATE}]))`, '{{source}}'],
          [`sum by (source) (rate(tokenferry_token_early_rejections_total[${RATE}]))`, '{{source}} early'],
          [
            `sum by (source, outcome) (rate(tokenferry_token_replays_total[${RATE}]))`,
            '{{source}} replay: {{outcome}}',
          ],
        ],
      },
    ],
  },
  {
    title: 'The gateway',
    panels: [
      {
        title: 'Versions',
        unit: 'none',
        description: 'Gateways of each version.',
        kind: 'stat',
        queries: [['count by (version) (tokenferry_build_info)', '{{version}}']],
      },
      {
        title: 'Processor time',
        unit: 'percentunit',
        description: 'Of one core.',
        queries: [[`rate(process_cpu_seconds_total{job=~"$job"}[${RATE}])`, '{{instance}}']],
      },
      {
        title: 'Memory',
        unit: 'bytes',
        description: 'Resident.',
        queries: [['process_resident_memory_bytes{job=~"$job"}', '{{instance}}']],
      },
      {
        title: 'Delay of the event loop (99 %)',
        unit: 's',
        description: 'More than 0.1 s delays every stream.',
        queries: [['nodejs_eventloop_lag_p99_seconds{job=~"$job"}', '{{instance}}']],
      },
      {
        title: 'Request log',
        unit: 'short',
        description: 'Records written and lost a second, and those that wait.',
        queries: [
          [`sum(rate(tokenferry_records_written_total[${RATE}]))`, 'written'],
          [`sum(rate(tokenferry_records_dropped_total[${RATE}]))`, 'lost'],
          ['sum(tokenferry_record_queue)', 'waiting'],
        ],
      },
      {
        title: 'Embeddings cache',
        unit: 'short',
        description: 'Inputs a second that were in the cache, and those that upstreams were asked for.',
        queries: [
          [`sum(rate(tokenferry_embeddings_cache_hits_total[${RATE}]))`, 'cached'],
          [`sum(rate(tokenferry_embeddings_cache_misses_total[${RATE}]))`, 'asked for'],
          [`sum(rate(tokenferry_embeddings_cache_saved_tokens_total[${RATE}]))`, 'tokens saved'],
          [`sum(rate(tokenferry_embeddings_cache_evictions_total[${RATE}]))`, 'dropped for newer ones'],
          ['sum(increase(tokenferry_embeddings_cache_faults_total[1h]))', 'faults in an hour'],
        ],
      },
      {
        title: 'Size of the embeddings cache',
        unit: 'bytes',
        description: 'Bytes of the vectors, and how many there are.',
        queries: [
          ['sum(tokenferry_embeddings_cache_bytes)', 'bytes'],
          ['sum(tokenferry_embeddings_cache_entries)', 'vectors'],
        ],
      },
      {
        title: 'Spans of traces',
        unit: 'short',
        description:
          'Spans a second that the collector took, and those that were lost: the collector is away or too slow.',
        queries: [
          [`sum(rate(tokenferry_trace_spans_exported_total[${RATE}]))`, 'exported'],
          [`sum(rate(tokenferry_trace_spans_dropped_total[${RATE}]))`, 'lost'],
        ],
      },
      {
        title: 'Reloads, alerts and lost lines',
        unit: 'short',
        description: 'In an hour.',
        queries: [
          ['sum by (result) (increase(tokenferry_config_reload_total[1h]))', 'reload {{result}}'],
          ['sum by (type, result) (increase(tokenferry_alerts_total[1h]))', 'alert {{type}} {{result}}'],
          ['sum(increase(tokenferry_log_lines_dropped_total[1h]))', 'log lines lost'],
        ],
      },
    ],
  },
];

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of Grafana.
const SOURCE = { type: 'prometheus', uid: '${datasource}' };
/** Selects a Prometheus of this Grafana, its default one at first: for an import by hand and for provisioning alike. */
const SOURCE_VARIABLE = {
  name: 'datasource',
  label: 'Data source',
  type: 'datasource',
  query: 'prometheus',
  refresh: 1,
  includeAll: false,
  multi: false,
};
const COLUMNS = 24;
const PANEL_HEIGHT = 8;

/** The dashboard as Grafana imports it. */
export function dashboard(): object {
  const panels: object[] = [];
  let y = 0;
  for (const row of ROWS) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: row.title,
      collapsed: false,
      panels: [],
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
    });
    y += 1;
    let x = 0;
    for (const panel of row.panels) {
      const w = panel.width ?? COLUMNS / 3;
      if (x + w > COLUMNS) {
        x = 0;
        y += PANEL_HEIGHT;
      }
      panels.push(panelOf(panel, panels.length + 1, { x, y, w, h: PANEL_HEIGHT }));
      x += w;
    }
    y += PANEL_HEIGHT;
  }
  return {
    __requires: [{ type: 'grafana', id: 'grafana', name: 'Grafana', version: '10.0.0' }],
    title: 'tokenferry',
    uid: 'tokenferry',
    description:
      'Requests, tokens, upstreams and token sources of tokenferry. Written by scripts/grafana-dashboard.ts.',
    tags: ['tokenferry', 'llm'],
    schemaVersion: 38,
    editable: true,
    refresh: '30s',
    time: { from: 'now-3h', to: 'now' },
    templating: {
      list: [
        SOURCE_VARIABLE,
        variable('job', 'label_values(tokenferry_build_info, job)'),
        variable('client', 'label_values(tokenferry_requests_total, client)'),
        variable('model', 'label_values(tokenferry_requests_total, model)'),
        variable('upstream', 'label_values(tokenferry_requests_total, upstream)'),
      ],
    },
    panels,
  };
}

function panelOf(
  { title, unit, description, queries, kind = 'timeseries' }: Panel,
  id: number,
  gridPos: object,
): object {
  const isTable = kind === 'table';
  return {
    id,
    type: kind,
    title,
    description,
    datasource: SOURCE,
    gridPos,
    fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
    options: kind === 'timeseries' ? { legend: { displayMode: 'list' }, tooltip: { mode: 'multi' } } : {},
    targets: queries.map(([expr, legendFormat], index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: SOURCE,
      expr,
      legendFormat,
      ...(isTable ? { format: 'table', instant: true } : {}),
    })),
  };
}

function variable(name: string, query: string): object {
  return {
    name,
    type: 'query',
    datasource: SOURCE,
    query: { query, refId: name },
    definition: query,
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = fileURLToPath(new URL('../deploy/grafana/tokenferry.json', import.meta.url));
  writeFileSync(file, `${JSON.stringify(dashboard(), null, 2)}\n`);
}
