import { FerryError } from '../../lib/errors/ferry-error.ts';
import { type Vector, vectorLength } from './vector.ts';

/** What the client asked for, and who was to give it. */
export interface WantedDimensions {
  /** `dimensions` of the request; null: none were asked, or no number that could be compared. */
  readonly dimensions?: number | null;
  /** The upstream's name, for the error. */
  readonly upstream?: string;
}

/** `dimensions` of a parsed request when it says a length; what is no such number is the upstream's to refuse. */
export function dimensionsOf(json: Readonly<Record<string, unknown>>): number | null {
  const { dimensions } = json;
  return Number.isSafeInteger(dimensions) && (dimensions as number) > 0 ? (dimensions as number) : null;
}

/**
 * Throws FerryError 400 when an upstream answered with vectors of another length than asked: some servers ignore
 * `dimensions`, and an index filled with vectors of two lengths is broken for good (S115). Text that is
 * only relayed is counted in its first vector alone: the vectors of one reply come from one model.
 */
export function checkDimensions(
  vectors: readonly Vector[],
  model: string | null,
  { dimensions = null, upstream }: WantedDimensions,
): void {
  if (dimensions === null) return;
  const counted = Buffer.isBuffer(vectors[0]) ? vectors.slice(0, 1) : vectors;
  const found = counted.map(vectorLength).find((length) => length !== dimensions);
  if (found === undefined) return;
  const whose = [
    model === null ? 'The model' : `The model "${model}"`,
    upstream === undefined ? '' : ` of upstream "${upstream}"`,
  ].join('');
  throw new FerryError('client_fault', {
    message:
      `${whose} answered with vectors of ${found} numbers where "dimensions" asks for ${dimensions}: ` +
      `it cannot shorten them. Leave "dimensions" out or set it to ${found}.`,
    status: 400,
    upstreamStatus: 200,
    code: 'unsupported_dimensions',
    param: 'dimensions',
  });
}
