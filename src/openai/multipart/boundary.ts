import { ambiguousForm } from './form-error.ts';

/** Parameters as all readers divide them: no backslashes, no quote or semicolon that could be taken for an end. */
const PLAIN_TYPE =
  /^\s*multipart\/form-data\s*(?:;\s*[\w!#$&+.^`|~-]+\s*=\s*(?:"[^"\\]*"|[^\s;,"\\]+)\s*)*;?\s*$/i;

/** RFC 2046, 5.1.1, and what clients write beside it; a semicolon, and a blank at an end, would end it for some. */
const BOUNDARY = /;\s*boundary\s*=\s*(?:"([^"\\;\s](?:[^"\\;]{0,198}[^"\\;\s])?)"|([^\s;,"\\]{1,200}))/i;

/**
 * The `boundary` of a multipart/form-data content-type (RFC 2046, 5.1.1); null for any other type and where there is
 * none. Throws `invalid_request` when readers would find different ones.
 */
export function boundaryOf(contentType: string): string | null {
  if (!/^\s*multipart\/form-data\s*;/i.test(contentType)) return null;
  const first = contentType.search(/boundary/i);
  if (first === -1) return null;
  const found = BOUNDARY.exec(contentType);
  const named = contentType.match(/boundary\s*[*=]/gi) ?? [];
  // PHP takes the first `boundary` anywhere, patterns take the first or the last, parsers the one that is a parameter.
  const isFirst = found !== null && /^;\s*$/.test(contentType.slice(found.index, first));
  const isAscii = /^[\t\x20-\x7e]*$/.test(contentType);
  if (!isAscii || found === null || named.length !== 1 || !isFirst || !PLAIN_TYPE.test(contentType))
    throw ambiguousForm('its content-type does not name one boundary plainly');
  return found[1] ?? found[2] ?? null;
}
