import { isUtf8 } from 'node:buffer';
import { FerryError } from '../../lib/errors/ferry-error.ts';
import { findJsonFault } from './json-fault.ts';

/** How far the place of a fault is looked for, in UTF-16 units: 50 ms of a hostile body. */
const FAULT_SEARCHED = 1024 * 1024;

/** The text of a JSON body (RFC 8259, 8.1: always UTF-8). Throws `invalid_json` for another charset. */
export function textOfJson(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString('utf8');
  throw new FerryError('invalid_json', { message: 'The request body is not valid UTF-8 text.' });
}

/** JSON.parse that throws `invalid_json` with the place of the fault, and without a word of the text. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FerryError('invalid_json', { message: describeFault(text), cause });
  }
}

function describeFault(text: string): string {
  if (text.trim() === '') return 'The request body is empty; a JSON object is needed.';
  const fault = findJsonFault(text.slice(0, FAULT_SEARCHED));
  if (fault.isCutOff && text.length > FAULT_SEARCHED) {
    return `The request body is not valid JSON: the fault lies behind position ${FAULT_SEARCHED}.`;
  }
  const place = `line ${fault.line}, column ${fault.column}`;
  return fault.isCutOff
    ? `The request body is not valid JSON: it ends too early, at ${place}.`
    : `The request body is not valid JSON: unexpected character at ${place} (position ${fault.position}).`;
}
