import type { Clock } from '../../lib/clock.ts';
import { asFerryError } from '../../lib/errors/ferry-error.ts';
import { readModelsResponse } from '../../openai/models/models-response.ts';
import type { RoutedUpstream } from '../../routing/upstream-state/routed-upstream.ts';
import type { AdminProbe } from '../api-types.ts';

const PROBE_TIMEOUT_MS = 10_000;
const MAX_LIST_BYTES = 8 * 1024 * 1024;

/** Sends `GET /models` to an upstream, which costs no tokens. A 2xx response ends its cool down. */
export async function probeUpstream(
  upstream: RoutedUpstream,
  clock: Clock,
): Promise<Omit<AdminProbe, 'upstream'>> {
  const { client, circuit } = upstream;
  if (client.credentials.kind === 'as_is')
    return {
      is_ok: false,
      duration_ms: 0,
      message: 'It has no credentials of its own (sk: asis): only requests of clients can try it.',
    };
  const startedMonoMs = clock.monoMs();
  const elapsedMs = (): number => Math.round(clock.monoMs() - startedMonoMs);
  try {
    const response = await client.fetchModels(PROBE_TIMEOUT_MS);
    const duration_ms = elapsedMs();
    circuit.endPause();
    const models = await listedModels(response.body.readAll(MAX_LIST_BYTES));
    return {
      is_ok: true,
      duration_ms,
      message: `It responded to GET /models with ${response.status} in ${duration_ms} ms${models}.`,
    };
  } catch (error) {
    const { message, detail } = asFerryError(error);
    return { is_ok: false, duration_ms: elapsedMs(), message: detail ?? message };
  }
}

/** What the body says; it need not be a list. */
async function listedModels(body: Promise<Buffer>): Promise<string> {
  try {
    const { length } = readModelsResponse(await body, 0);
    return length === 0 ? '' : ` and lists ${length === 1 ? 'one model' : `${length} models`}`;
  } catch {
    return '';
  }
}
