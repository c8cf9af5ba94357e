import type { Logger } from '../observability/logger.ts';
import type { UpstreamGauge } from '../observability/metrics.ts';
import type { CircuitState } from '../routing/upstream-state/circuit.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';

/** Says in the log that an upstream cools down or is back. */
export function reportCircuit(upstream: string, state: CircuitState, logger: Logger): void {
  logger.warn(`upstream ${upstream} is ${state === 'closed' ? 'back' : 'cooling down'}`, { upstream, state });
}

/** The health of all upstreams for the metrics. */
export function upstreamGauges(upstreams: readonly RoutedUpstream[]): UpstreamGauge[] {
  return upstreams.map(({ name, circuit }) => ({
    upstream: name,
    isUp: circuit.state === 'closed',
    isCooling: circuit.state !== 'closed',
  }));
}
