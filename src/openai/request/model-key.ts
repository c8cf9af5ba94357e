import { FerryError } from '../../lib/errors/ferry-error.ts';

/** Go reads `Model` and `MODEL` as `model`, so that one of them would be a second model. Throws `invalid_request`. */
export function refuseSecondModel(keys: Iterable<string>): void {
  for (const key of keys) {
    if (key.length !== 5 || key === 'model' || key.toLowerCase() !== 'model') continue;
    throw new FerryError('invalid_request', {
      message: `The request body has "${key}": write "model" in small letters, and once.`,
      param: 'model',
    });
  }
}
