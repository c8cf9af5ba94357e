import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace';

/** By the value of `OTEL_TRACES_SAMPLER` (OpenTelemetry specification 1.56, "General SDK configuration"). */
const SAMPLERS: Readonly<Record<string, (ratio: number) => Sampler>> = {
  always_on: () => new AlwaysOnSampler(),
  always_off: () => new AlwaysOffSampler(),
  traceidratio: (ratio) => new TraceIdRatioBasedSampler(ratio),
  parentbased_always_on: () => new ParentBasedSampler({ root: new AlwaysOnSampler() }),
  parentbased_always_off: () => new ParentBasedSampler({ root: new AlwaysOffSampler() }),
  parentbased_traceidratio: (ratio) => new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
};

const DEFAULT_SAMPLER = 'parentbased_always_on';

/** The sampler that the environment names; the SDK's packages for traces do not read it themselves. Unknown names and ratios mean the default. */
export function samplerFromEnvironment(env: Readonly<Record<string, string | undefined>>): Sampler {
  const name = env.OTEL_TRACES_SAMPLER?.trim() ?? '';
  const ratio = Number(env.OTEL_TRACES_SAMPLER_ARG?.trim() || 1);
  const make = Object.hasOwn(SAMPLERS, name) ? SAMPLERS[name] : SAMPLERS[DEFAULT_SAMPLER];
  return (make as (ratio: number) => Sampler)(ratio >= 0 && ratio <= 1 ? ratio : 1);
}
