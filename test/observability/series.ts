import { Metrics, type MetricsOptions } from '../../src/observability/metrics.ts';

/** Metrics without those of the process. */
export function ownMetrics(options: MetricsOptions = {}): Metrics {
  return new Metrics({ hasProcessMetrics: false, ...options });
}

/** The lines of one metric, without comments. */
export async function series(metrics: Metrics, name: string): Promise<string[]> {
  const lines = (await metrics.text()).split('\n');
  return lines.filter(
    (line) => line.startsWith(`tokenferry_${name}{`) || line.startsWith(`tokenferry_${name} `),
  );
}
