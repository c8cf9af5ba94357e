import { ambiguousForm } from './form-error.ts';

/** What the head of a part says of it. */
interface PartHead {
  /** Null: the part has none that all readers agree on, and none of them takes it for the model. */
  readonly name: string | null;
  readonly isFile: boolean;
}

const NAMELESS: PartHead = { name: null, isFile: false };

/** All but the tab: what C ends a text at, and line ends that only some readers know. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const CONTROL = /[\u0000-\u0008\u000a-\u001f\u007f]/;

/** Parameters that are divided alike with and without a sense for backslashes. */
const PLAIN =
  /^[ \t]*form-data[ \t]*(?:;[ \t]*[\w!#$&+.^`|~*'-]+[ \t]*=[ \t]*(?:"[^"\\]*"|[^\s;"\\]+)[ \t]*)*;?[ \t]*$/i;
const PARAMETER = /;[ \t]*([^\s=;"]+)[ \t]*=[ \t]*(?:"([^"\\]*)"|([^\s;"\\]+))/g;

/** Where a reader could see the name begin, be it within another parameter's value; never in `filename`. */
const NAME = /(?<![\w-])name\s*[*=]/gi;

/** A name that is, in whatever notation, the model's; encoded ones (RFC 2047, RFC 2231) count as such. */
const NAMES_MODEL = /(?<![\w-])name\s*(?:\*|=["'`\s]*(?:model["'`\s]*(?:[;,[\]]|$)|model["'`\s]|=\?))/i;
const IS_MODEL = /^["'`\s]*(?:model["'`\s]*(?:\[.*)?$|=\?)/i;

/** ASCII is the same in these, so that the model is what its bytes say. */
const OTHER_CHARSET =
  /\r\ncontent-type[ \t]*:[^\r\n]*charset\s*=(?!\s*["']?(?:utf-?8|us-ascii|ascii|iso-8859-\d{1,2}|windows-125\d)(?:["'\s;]|$))/i;
const ENCODED = /\r\ncontent-transfer-encoding[ \t]*:(?![ \t]*(?:7bit|8bit|binary)[ \t]*(?:\r\n|$))/i;

/**
 * Reads the head of a part, from the line end of its delimiter on. Throws `invalid_request` for a part that any reader
 * could take for the model unless it is the one plain field `model`: Go reads a file without a name as a field, PHP
 * reads `model[]`, formidable the first `name=` anywhere, Java what RFC 2047 hides.
 */
export function readPartHead(head: string): PartHead {
  if (CONTROL.test(head.replaceAll('\r\n', '')))
    throw ambiguousForm('control characters in the head of a part');
  const mentions = head.match(/\r\n[ \t]*content-disposition[ \t]*:/gi)?.length ?? 0;
  if (mentions === 0) return NAMELESS;
  const unfolded = head.replace(/\r\n[ \t]+/g, ' ');
  const disposition = /\r\ncontent-disposition:([^\r\n]*)/i.exec(unfolded)?.[1];
  if (mentions > 1 || disposition === undefined)
    throw ambiguousForm('a part whose head does not have one plain Content-Disposition');
  const read = readPlain(disposition);
  if (read === null) {
    if (readingsOf(disposition).some((text) => NAMES_MODEL.test(text))) throw notPlain();
    return NAMELESS;
  }
  if (read.name !== null && readingsOf(read.name).some((name) => IS_MODEL.test(name))) {
    if (read.name !== 'model' || OTHER_CHARSET.test(unfolded) || ENCODED.test(unfolded)) throw notPlain();
  }
  return read;
}

/** The name as every reader finds it; null when they could find different ones. */
function readPlain(disposition: string): PartHead | null {
  const names = disposition.match(NAME)?.length ?? 0;
  if (names > 1 || !PLAIN.test(disposition)) return null;
  const parameters = [...disposition.matchAll(PARAMETER)].map(([, key = '', quoted, bare]) => ({
    key: key.toLowerCase(),
    value: quoted ?? bare ?? '',
  }));
  const name = parameters.find(({ key }) => key === 'name')?.value ?? null;
  if (names === 1 && name === null) return null;
  const files = parameters.filter(({ key }) => /^filename(?:\*|$)/.test(key));
  // Without a plain and a full name of the file, Go and others take it for a field.
  const isFile = files.some(({ key, value }) => key === 'filename' && value.trim() !== '');
  if (name === 'model' && files.length > 0 && !isFile) throw notPlain();
  return { name: files.length > 0 && !isFile ? null : name, isFile };
}

/** A text as readers understand it that undo backslashes, percent signs or neither. */
function readingsOf(text: string): string[] {
  const unescaped = text.replaceAll('\\', '');
  const decoded = unescaped.replace(/%([0-9a-f]{2})/gi, (_match, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return [text, unescaped, decoded];
}

function notPlain(): Error {
  return ambiguousForm('a part could be taken for "model" and is not its plain field', 'model');
}
