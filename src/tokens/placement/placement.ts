import { setJsonMember } from '../../lib/json/json-edits.ts';

/** The parts of a request that a token can be written into. */
export interface OutgoingRequest {
  /** Path and query. */
  path: string;
  /** Flat: name, value, name, value; names in lower case. */
  headers: string[];
  body: Buffer | string | null;
  readonly isJson: boolean;
}

interface PlacementOptions {
  /** Places this further value of the issuer's response (`RawToken.extra`) instead of the token. */
  readonly extra?: string;
}

/** Where a token goes: `place` of the configuration. */
export type Placement = PlacementOptions &
  (
    | { readonly header: string; readonly prefix?: string }
    | { readonly query: string }
    | { readonly cookie: string }
    | { readonly body: string }
  );

export const BEARER_PLACEMENT: Placement = { header: 'authorization', prefix: 'Bearer ' };

/** A placement with the strings of one token prepared, so that applying it costs a few pushes. */
type PreparedPlacement =
  | { readonly into: 'header'; readonly name: string; readonly value: string }
  | { readonly into: 'query'; readonly name: string; readonly text: string }
  | { readonly into: 'cookie'; readonly name: string; readonly text: string }
  | { readonly into: 'body'; readonly name: string; readonly json: string };

/** The request has no place for the token, and must not be sent without it. Contains no values. */
export class PlacementError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'PlacementError';
  }
}

/**
 * Fills a token into its placements: the returned function writes them into a request, replacing the previous value, and
 * throws `PlacementError` when none of them found a place. A placement of a value that the response did not have is left
 * out.
 */
export function preparePlacements(
  placements: readonly Placement[],
  token: string,
  extra: Readonly<Record<string, string>> = {},
): (request: OutgoingRequest) => void {
  const prepared: PreparedPlacement[] = [];
  for (const placement of placements) {
    const value = placement.extra === undefined ? token : extra[placement.extra];
    if (value !== undefined) prepared.push(prepare(placement, value));
  }
  return (request) => {
    let isPlaced = false;
    for (const placement of prepared) isPlaced = place(placement, request) || isPlaced;
    if (!isPlaced) throw new PlacementError('no place for the token: the request body is not a JSON object');
  };
}

function prepare(placement: Placement, value: string): PreparedPlacement {
  if ('header' in placement) {
    const { header, prefix = '' } = placement;
    return { into: 'header', name: header.toLowerCase(), value: `${prefix}${value}` };
  }
  if ('query' in placement) {
    const name = encodeURIComponent(placement.query);
    return { into: 'query', name: placement.query, text: `${name}=${encodeURIComponent(value)}` };
  }
  if ('cookie' in placement) {
    return { into: 'cookie', name: placement.cookie, text: `${placement.cookie}=${cookieValue(value)}` };
  }
  return { into: 'body', name: placement.body, json: JSON.stringify(value) };
}

/** RFC 6265 `cookie-octet`; a value with anything else is percent-encoded, as not every server parses quotes. */
function cookieValue(value: string): string {
  return /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/.test(value) ? value : encodeURIComponent(value);
}

function place(placement: PreparedPlacement, request: OutgoingRequest): boolean {
  switch (placement.into) {
    case 'header':
      setHeader(request.headers, placement.name, placement.value);
      return true;
    case 'query':
      request.path = pathWith(request.path, placement.name, placement.text);
      return true;
    case 'cookie':
      setCookie(request.headers, placement.name, placement.text);
      return true;
    case 'body':
      return setBodyMember(request, placement.name, placement.json);
  }
}

/** Sets the one header of this name: the first is overwritten, repetitions are taken out. */
function setHeader(headers: string[], name: string, value: string): void {
  let isSet = false;
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] !== name) continue;
    if (isSet) {
      headers.splice(at, 2);
      at -= 2;
    } else {
      headers[at + 1] = value;
      isSet = true;
    }
  }
  if (!isSet) headers.push(name, value);
}

/** `path` with the parameter `text` in place of all parameters called `name`; the rest stays byte for byte. */
function pathWith(path: string, name: string, text: string): string {
  const mark = path.indexOf('?');
  if (mark < 0) return `${path}?${text}`;
  const kept = path
    .slice(mark + 1)
    .split('&')
    .filter((part) => part !== '' && parameterName(part) !== name);
  return `${path.slice(0, mark)}?${[...kept, text].join('&')}`;
}

function parameterName(part: string): string {
  const raw = part.split('=', 1)[0]?.replaceAll('+', ' ') ?? '';
  try {
    return decodeURIComponent(raw);
  } catch {
    return raw;
  }
}

function setCookie(headers: string[], name: string, text: string): void {
  const kept: string[] = [];
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] !== 'cookie') continue;
    for (const part of (headers[at + 1] ?? '').split(';')) {
      const cookie = part.trim();
      if (cookie !== '' && cookie.split('=', 1)[0] !== name) kept.push(cookie);
    }
  }
  setHeader(headers, 'cookie', [...kept, text].join('; '));
}

function setBodyMember(request: OutgoingRequest, name: string, json: string): boolean {
  if (!request.isJson || request.body === null) return false;
  const body = setJsonMember(request.body, name, json);
  if (body === null) return false;
  request.body = body;
  // A stale length would cut the body or make the upstream wait for the rest of it.
  for (let at = 0; at < request.headers.length; at += 2) {
    if (request.headers[at] === 'content-length') request.headers[at + 1] = String(body.length);
  }
  return true;
}
