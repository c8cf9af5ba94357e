import { noSuchModel } from '../../routing/candidates.ts';

/** Amazon's resource names are the longest that providers give. UTF-16 units. */
const LONGEST_NAME = 2048;

/**
 * Throws `model_not_found` for a name that no model can have: what is known of models is kept by their names, and a
 * body has room for one of many megabytes.
 */
export function refuseLongName(model: string): void {
  if (model.length > LONGEST_NAME) throw noSuchModel(model);
}
