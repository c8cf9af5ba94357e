import { surveyBody } from '../../openai/request/json-body.ts';

/** What is shorter costs a few milliseconds, whatever it says. Bytes. */
const HARMLESS_BYTES = 256 * 1024;

/**
 * Throws `invalid_request` for a JSON body of which JSON.parse would make values by the million: 64 MiB of brackets
 * or keys hold up every other request for many seconds.
 */
export function refuseJsonBomb(body: Buffer): void {
  if (body.length <= HARMLESS_BYTES) return;
  // Bytes as characters: brackets and quotes are the same in every charset that JSON may have.
  surveyBody(body.toString('latin1'));
}
