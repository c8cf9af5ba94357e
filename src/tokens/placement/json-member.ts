import { readMembers } from '../../lib/json/json-text.ts';

const BYTE_ORDER_MARK = '\u00ef\u00bb\u00bf';

/**
 * `body`, a JSON object, with its top-level member `name` set to the JSON text `json`; null when it is no object.
 * The bytes of everything else stay as they are: parsing and writing again would change numbers that JavaScript
 * cannot hold. Each byte is read as one character, since in UTF-8 no byte of a longer character looks like JSON's own signs.
 */
export function setJsonMember(body: Buffer | string, name: string, json: string): Buffer | null {
  const text = asLatin1(body);
  const start = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0;
  if (!isObject(text.slice(start))) return null;
  const members = readMembers(text, start);
  const [latinName, latinJson] = [asLatin1(name), asLatin1(json)];
  const named = members.filter(({ key }) => key === name || key === latinName);
  const inside = text.indexOf('{', start) + 1;
  const spliced =
    named.length > 0
      ? splice(
          text,
          named.map(({ valueStart: from, valueEnd: to }) => ({ from, to })),
          latinJson,
        )
      : splice(
          text,
          [{ from: inside, to: inside }],
          `${JSON.stringify(latinName)}:${latinJson}${members.length === 0 ? '' : ','}`,
        );
  return Buffer.from(spliced, 'latin1');
}

function asLatin1(text: Buffer | string): string {
  return (typeof text === 'string' ? Buffer.from(text) : text).toString('latin1');
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function splice(
  text: string,
  ranges: readonly { readonly from: number; readonly to: number }[],
  replacement: string,
): string {
  const parts: string[] = [];
  let copiedTo = 0;
  for (const { from, to } of ranges) {
    parts.push(text.slice(copiedTo, from), replacement);
    copiedTo = to;
  }
  parts.push(text.slice(copiedTo));
  return parts.join('');
}
