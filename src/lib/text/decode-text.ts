import { TextDecoder } from 'node:util';

/** Bytes as text: by the byte order mark, else by `charset`, else UTF-8. Removes a byte order mark. */
export function decodeText(bytes: Buffer, charset = 'utf-8'): string {
  return decoderFor(bytes, charset).decode(bytes);
}

/** The charset that a content-type names; undefined: none. */
export function charsetOf(contentType: string | null | undefined): string | undefined {
  return /\bcharset\s*=\s*"?([\w.:-]+)/i.exec(contentType ?? '')?.[1];
}

function decoderFor(bytes: Buffer, charset: string): TextDecoder {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return new TextDecoder('utf-16le');
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return new TextDecoder('utf-16be');
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder();
  }
}
