import { FerryError } from '../../lib/errors/ferry-error.ts';

/**
 * The 400 for a multipart form that another reader could understand in another way than we do: we would go by one
 * model and the upstream perhaps by another, which the client may not use.
 */
export function ambiguousForm(why: string, param: string | null = null): FerryError {
  return new FerryError('invalid_request', {
    message: `The multipart form can be read in more than one way: ${why}.`,
    ...(param !== null && { param }),
  });
}
