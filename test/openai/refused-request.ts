import assert from 'node:assert/strict';
import { FerryError } from '../../src/lib/errors/ferry-error.ts';

/** The 400 with which `translate` refuses a request of another API; fails when it does not. */
export function refusalOf(translate: () => unknown): FerryError {
  try {
    translate();
  } catch (error) {
    assert.ok(error instanceof FerryError);
    assert.equal(error.status, 400);
    return error;
  }
  throw new assert.AssertionError({ message: 'not refused' });
}
