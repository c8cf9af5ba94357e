/** Bytes of audio or an image that an upstream sent as text. */
export interface DecodedMedia {
  readonly bytes: Buffer;
  /** The type that the text or the bytes themselves state; null when neither does. */
  readonly type: string | null;
}

/** The bytes at each offset, as characters of the same codes. */
type Signs = readonly (readonly [type: string, ...places: readonly (readonly [number, string])[]])[];

const SOUNDS: Signs = [
  ['audio/mpeg', [0, 'ID3']],
  ['audio/wav', [0, 'RIFF'], [8, 'WAVE']],
  ['audio/ogg', [0, 'OggS']],
  ['audio/flac', [0, 'fLaC']],
  ['audio/webm', [0, '\x1aE\xdf\xa3']],
  ['audio/mp4', [4, 'ftyp']],
];
const PICTURES: Signs = [
  ['image/png', [0, '\x89PNG\r\n']],
  ['image/jpeg', [0, '\xff\xd8\xff']],
  ['image/gif', [0, 'GIF8']],
  ['image/webp', [0, 'RIFF'], [8, 'WEBP']],
  ['image/avif', [4, 'ftypavif']],
];

/** The type of audio by its first bytes; null for samples without a container, and for other data. */
export function soundTypeOf(bytes: Uint8Array): string | null {
  return containerTypeOf(bytes) ?? frameTypeOf(bytes);
}

/** The type of audio that has a container. */
export function containerTypeOf(bytes: Uint8Array): string | null {
  return typeBy(SOUNDS, bytes);
}

/** Frames without a container begin with eleven ones, as samples may by chance; then the version and the layer. */
function frameTypeOf([first = 0, second = 0]: Uint8Array): string | null {
  if (first !== 0xff || (second & 0xe0) !== 0xe0) return null;
  if ((second & 0xf6) === 0xf0) return 'audio/aac';
  return (second & 0x06) === 0 || (second & 0x18) === 0x08 ? null : 'audio/mpeg';
}

/** The type of an image by its first bytes; null for other data. */
export function pictureTypeOf(bytes: Uint8Array): string | null {
  return typeBy(PICTURES, bytes);
}

function typeBy(signs: Signs, bytes: Uint8Array): string | null {
  const start = Buffer.from(bytes.subarray(0, 16)).toString('latin1');
  const sign = signs.find(([, ...places]) => places.every(([at, text]) => start.startsWith(text, at)));
  return sign?.[0] ?? null;
}

export function isWebAddress(text: string): boolean {
  return /^\s*https?:\/\//i.test(text);
}

/** A `data:` URI as its type and the text of its base64; null for any other text. */
function readDataUri(text: string): { readonly type: string | null; readonly base64: string } | null {
  const comma = text.slice(0, 300).indexOf(',');
  if (!/^\s*data:/i.test(text.slice(0, 20)) || comma === -1) return null;
  const head = text.slice(0, comma);
  if (!/;\s*base64$/i.test(head)) return null;
  const type = /^\s*data:([\w.+-]+\/[\w.+-]+)/i.exec(head)?.[1]?.toLowerCase() ?? null;
  return { type, base64: text.slice(comma + 1) };
}

/** A text of this length without a space is treated as encoded bytes: no sentence is that long. */
const MIN_UNMARKED_LENGTH = 256;

/**
 * The audio that a text holds as a `data:` URI, base64 or hexadecimal digits; null when it holds none. Where the
 * member of the text does not identify it as audio (`isNamed`), its bytes must.
 */
export function decodeSound(text: string, isNamed: boolean): DecodedMedia | null {
  const uri = readDataUri(text);
  const encoded = (uri?.base64 ?? text).trim();
  const bytes = uri === null && isHex(encoded) ? Buffer.from(encoded, 'hex') : fromBase64(encoded);
  if (bytes === null || bytes.length === 0) return null;
  const type = soundTypeOf(bytes);
  if (uri === null && !isNamed && type === null && encoded.length < MIN_UNMARKED_LENGTH) return null;
  return { bytes, type: type ?? uri?.type ?? null };
}

/** The base64 of an image from a `data:` URI or bare; null when the text is none. */
export function pictureBase64(
  text: string,
  isNamed: boolean,
): { base64: string; type: string | null } | null {
  const uri = readDataUri(text);
  const base64 = (uri?.base64 ?? text).trim();
  if (!isBase64(base64)) return null;
  const type = pictureTypeOf(Buffer.from(base64.slice(0, 32), 'base64')) ?? uri?.type ?? null;
  return uri === null && !isNamed && type === null && base64.length < MIN_UNMARKED_LENGTH
    ? null
    : { base64, type };
}

/** Base64 of so many characters that has no letter beyond `f` does not happen. */
function isHex(text: string): boolean {
  return text.length >= 32 && text.length % 2 === 0 && !/[^0-9a-f]/i.test(text);
}

function fromBase64(text: string): Buffer | null {
  return isBase64(text) ? Buffer.from(text, 'base64') : null;
}

/** Also in its form for URLs, and with line ends. A search for an invalid character: it costs one pass and no stack. */
function isBase64(text: string): boolean {
  const padding = text.indexOf('=');
  return text.length >= 8 && (padding === -1 || padding >= text.length - 2) && !/[^\w+/=\r\n-]/.test(text);
}
