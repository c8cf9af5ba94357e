import { ambiguousForm, FormDivider, type FormPart } from './form-parts.ts';

/** A field of a form that is no file: the offsets of its value in the bytes; the end is exclusive. */
export interface FormField {
  readonly name: string;
  readonly valueStart: number;
  readonly valueEnd: number;
}

interface ReadForm {
  /** The fields (not the files) that are complete in the bytes. */
  readonly fields: readonly FormField[];
  /** Takes what comes behind the bytes. Throws `invalid_request` for a second model in it. */
  readonly follow: (piece: Buffer) => void;
}

/**
 * Reads `bytes`, the beginning of a form or, when `isWhole`, all of it. Throws `invalid_request` for what two readers
 * could divide in different ways, and for more than one part that could be the model.
 */
export function readForm(bytes: Buffer, contentType: string, isWhole: boolean): ReadForm {
  const boundary = boundaryOf(contentType);
  if (boundary === null) return { fields: [], follow: () => undefined };
  const divider = new FormDivider(boundary);
  divider.push(bytes, isWhole);
  refuseSecondModel(divider.parts);
  const fields = divider.parts.flatMap(fieldOf);
  const isNamed = fields.some(({ name }) => name === 'model');
  if (isWhole && !isNamed && divider.parts.some(isModelField))
    throw ambiguousForm('the part "model" has no end', 'model');
  return {
    fields,
    follow: (piece) => {
      // Without a model in its beginning a form is routed by its path.
      if (!isNamed) return;
      divider.push(piece);
      refuseSecondModel(divider.parts);
    },
  };
}

function fieldOf({ name, isFile, valueStart, valueEnd }: FormPart): FormField[] {
  return name === null || isFile || valueEnd === null ? [] : [{ name, valueStart, valueEnd }];
}

function isModelField({ name, isFile }: FormPart): boolean {
  return name === 'model' && !isFile;
}

/** A file called `model` is one of them for readers that go by the name alone. */
function refuseSecondModel(parts: readonly FormPart[]): void {
  const models = parts.filter(({ name }) => name === 'model');
  if (models.length > 1 && models.some(isModelField)) throw ambiguousForm('it has "model" twice', 'model');
}

/** Parameters that all parsers split alike: no backslashes, no quote or semicolon that could be parsed as an end. */
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
    throw ambiguousForm('its content-type does not have exactly one plain boundary');
  return found[1] ?? found[2] ?? null;
}
