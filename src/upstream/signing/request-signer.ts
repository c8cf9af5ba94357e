import type { OutgoingRequest } from '../../tokens/placement/placement.ts';

/** A request as it is sent: its headers are flat, with names in lower case. */
export interface SignableRequest extends OutgoingRequest {
  readonly method: string;
  /** With the port unless it is that of the scheme, as in the `Host` header. */
  readonly host: string;
}

/** What one signature is made with beside the request. */
export interface SigningFacts {
  /** By the clock of the upstream, as far as it is known. */
  readonly nowWallMs: number;
  /** `token` and the further values of the upstream's token source by name; empty without one. */
  readonly values: Readonly<Record<string, string>>;
}

/** One scheme of signing requests: adds the headers or the parameters that prove who sent exactly these bytes. */
export interface RequestSigner {
  readonly kind: 'aws_sigv4' | 'tc3' | 'headers';
  /** True: the token of the upstream is a credential of the signature and is not sent in a place of its own. */
  readonly usesTokenAsCredential: boolean;
  /** False: a body that is streamed can be sent as well. */
  readonly coversBody: boolean;
  /** What tells in an error of the upstream that the credentials are no longer valid; null: nothing but `reject`. */
  readonly rejectsCredentials: RegExp | null;
  /** Throws `SigningError` when the request cannot be signed. */
  sign(request: SignableRequest, facts: SigningFacts): void | Promise<void>;
}

/** A request that cannot be signed; the message names no value. */
export class SigningError extends Error {
  override readonly name = 'SigningError';
}

/** The credentials of a cloud's signature: an id, a secret, and for temporary ones a session token. */
interface CloudCredentials {
  readonly keyId: string;
  readonly key: string;
  readonly sessionToken: string | undefined;
}

/** Those of them that the configuration has. */
export type ConfiguredCredentials = Partial<CloudCredentials>;

/**
 * The credentials from the configuration and from the values of a token source (`key_id`, `key`, `session_token`). The
 * source's token is what these do not name: the key, or else the session token.
 */
export function cloudCredentials(
  configured: ConfiguredCredentials,
  values: SigningFacts['values'],
): CloudCredentials {
  const { token } = values;
  const keyId = configured.keyId ?? values.key_id;
  const namedKey = configured.key ?? values.key;
  const key = namedKey ?? token;
  const sessionToken =
    configured.sessionToken ?? values.session_token ?? (namedKey === undefined ? undefined : token);
  if (keyId === undefined || key === undefined) {
    const missing = keyId === undefined ? 'key_id' : 'key';
    throw new SigningError(`no ${missing}: set it in sign, or as a name in extra of the token source`);
  }
  return { keyId, key, sessionToken };
}

/** The value of a header; several are joined as HTTP joins them. */
export function headerOf(headers: readonly string[], name: string): string | undefined {
  let value: string | undefined;
  for (let at = 0; at < headers.length; at += 2) {
    if (headers[at] === name) value = value === undefined ? headers[at + 1] : `${value}, ${headers[at + 1]}`;
  }
  return value;
}

/** Sets the one header of this name. */
export function setHeader(headers: string[], name: string, value: string): void {
  for (let at = headers.length - 2; at >= 0; at -= 2) if (headers[at] === name) headers.splice(at, 2);
  headers.push(name, value);
}

/** The path and the query of a request, without the question mark. */
export function splitPath(path: string): readonly [path: string, query: string] {
  const mark = path.indexOf('?');
  return mark === -1 ? [path, ''] : [path.slice(0, mark), path.slice(mark + 1)];
}
