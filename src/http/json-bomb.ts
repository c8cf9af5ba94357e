import { surveyJson } from '../canonical/json-survey.ts';
import { FerryError } from '../errors.ts';

/** As for chats: more than any real request has. */
const LIMITS = { levels: 256, containers: 1_000_000 };

/** What is shorter costs a few milliseconds, whatever it says. Bytes. */
const HARMLESS_BYTES = 256 * 1024;

/**
 * Throws `invalid_request` for a JSON body of which JSON.parse would make objects by the million: 64 MiB of brackets
 * hold up every other request for many seconds.
 */
export function refuseJsonBomb(body: Buffer): void {
  if (body.length <= HARMLESS_BYTES) return;
  // Bytes as characters: brackets and quotes are the same in every charset that JSON may have.
  const { exceeded } = surveyJson(body.toString('latin1'), LIMITS);
  if (exceeded === null) return;
  const what = exceeded === 'levels' ? 'levels of nesting' : 'arrays and objects';
  throw new FerryError('invalid_request', {
    message: `The request body has more than ${LIMITS[exceeded]} ${what}.`,
  });
}
