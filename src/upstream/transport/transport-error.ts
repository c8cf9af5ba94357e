import { FerryError } from '../../lib/errors/ferry-error.ts';
import { transportFailure } from '../../lib/net/transport-failure.ts';

/** What an operator looks at first, by where it failed; the rest is in the failure's own words. */
const ADVICE: Readonly<Record<string, string>> = {
  proxy: " Check the upstream's proxy setting.",
  tls: '',
  settings: '',
};

/**
 * Converts what undici or Node threw before any response header. `upstream` is the configured name: hosts stay in
 * `detail`, which only log and record get.
 */
export function fromTransport(error: unknown, upstream: string, isProxied = false): FerryError {
  if (error instanceof FerryError) return error;
  const { stage, text } = transportFailure(error, isProxied);
  const facts = { detail: detailOf(error), cause: error };
  if (stage === 'protocol')
    return new FerryError('invalid_response', { ...facts, message: `Upstream "${upstream}": ${text}.` });
  const advice = ADVICE[stage] ?? ' Check that it is running and that its endpoint is right.';
  return new FerryError('unreachable', { ...facts, message: `Upstream "${upstream}": ${text}.${advice}` });
}

/** Converts a failure after the response's headers: the response was cut off. */
export function fromBrokenBody(error: unknown, upstream: string): FerryError {
  if (error instanceof FerryError) return error;
  return new FerryError('disconnected', {
    message: `Upstream "${upstream}" closed the connection in the middle of its response.`,
    detail: detailOf(error),
    cause: error,
  });
}

function detailOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as { code?: unknown };
  return `${typeof code === 'string' ? code : error.name}: ${error.message}`;
}
