import { StringDecoder } from 'node:string_decoder';

/** Bytes in any pieces → text; a character split between pieces is kept whole, a byte order mark is dropped. */
export interface TextDecoding {
  push(bytes: Uint8Array): string;
  end(): string;
}

/** The decoder for a content-type's charset; UTF-8 when it names none or one that nobody knows. */
export function createTextDecoding(contentType: string | null): TextDecoding {
  const charset = /charset\s*=\s*"?([^\s";]+)/i.exec(contentType ?? '')?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) {
    try {
      return new CharsetDecoding(new TextDecoder(charset));
    } catch {
      // An unknown name: JSON and event streams are UTF-8 by their own standards.
    }
  }
  return new Utf8Decoding();
}

/** StringDecoder, because TextDecoder costs twice as much for the small pieces that streams consist of. */
class Utf8Decoding implements TextDecoding {
  readonly #decoder = new StringDecoder('utf8');
  #isAtStart = true;

  push(bytes: Uint8Array): string {
    return this.#withoutMark(this.#decoder.write(bytes as Buffer));
  }

  end(): string {
    return this.#withoutMark(this.#decoder.end());
  }

  #withoutMark(text: string): string {
    if (!this.#isAtStart || text === '') return text;
    this.#isAtStart = false;
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }
}

class CharsetDecoding implements TextDecoding {
  readonly #decoder: InstanceType<typeof TextDecoder>;

  constructor(decoder: InstanceType<typeof TextDecoder>) {
    this.#decoder = decoder;
  }

  push(bytes: Uint8Array): string {
    return this.#decoder.decode(bytes, { stream: true });
  }

  end(): string {
    return this.#decoder.decode();
  }
}
