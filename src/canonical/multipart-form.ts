/** A field of a form that is no file: where its value stands in the bytes; the end is exclusive. */
export interface FormField {
  readonly name: string;
  readonly valueStart: number;
  readonly valueEnd: number;
}

/** A part's own headers are a few lines; what is longer is not looked at. Bytes. */
const LONGEST_PART_HEAD = 16 * 1024;

/** No client's form has so many parts; a body of delimiters alone must not hold up everybody else. */
const MOST_PARTS = 1000;

/** The `boundary` of a multipart/form-data content-type (RFC 2046, 5.1.1); null for any other type. */
export function boundaryOf(contentType: string): string | null {
  if (!/^\s*multipart\/form-data\s*;/i.test(contentType)) return null;
  const found = /;\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType);
  return found?.[1] ?? found?.[2] ?? null;
}

/**
 * The fields (not the files) that stand whole in `bytes`, the beginning of a form. Jumps from delimiter to delimiter
 * with the native search, so that nothing within a file is taken for a field, whatever it says.
 */
export function readFormFields(bytes: Buffer, boundary: string): FormField[] {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const fields: FormField[] = [];
  // The first delimiter has no line end before it when nothing stands before it.
  const isAtStart = bytes.subarray(0, delimiter.length - 2).equals(delimiter.subarray(2));
  let start = isAtStart ? delimiter.length - 2 : endOfDelimiter(bytes, delimiter, 0);
  for (let parts = 0; start !== -1 && parts < MOST_PARTS; parts++) {
    const end = endOfDelimiter(bytes, delimiter, start);
    if (end === -1) break;
    const field = readPart(bytes, start, end - delimiter.length);
    if (field !== null) fields.push(field);
    start = end;
  }
  return fields;
}

/** The index behind the next delimiter at or after `from`; -1 when there is none. */
function endOfDelimiter(bytes: Buffer, delimiter: Buffer, from: number): number {
  for (let at = bytes.indexOf(delimiter, from); at !== -1; at = bytes.indexOf(delimiter, at + 1)) {
    const end = at + delimiter.length;
    const next = bytes[end];
    // A boundary that only begins like ours belongs to the content.
    if (next === undefined || ' \t\r-'.includes(String.fromCharCode(next))) return end;
  }
  return -1;
}

/** The part between two delimiters, when it is a field. */
function readPart(bytes: Buffer, start: number, end: number): FormField | null {
  const head = bytes.subarray(start, Math.min(end, start + LONGEST_PART_HEAD));
  const headEnd = head.indexOf('\r\n\r\n');
  if (headEnd === -1) return null;
  const name = nameOf(head.toString('utf8', 0, headEnd + 2));
  return name === null ? null : { name, valueStart: start + headEnd + 4, valueEnd: end };
}

/** The name of a part from its headers; null for a file (it has a filename) and for a part without a name. */
function nameOf(head: string): string | null {
  const disposition = /\r\ncontent-disposition:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)/i.exec(head)?.[1];
  if (disposition === undefined || /;\s*filename\*?\s*=/i.test(disposition)) return null;
  const found = /;\s*name\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/i.exec(disposition);
  return found?.[1] ?? found?.[2] ?? null;
}
