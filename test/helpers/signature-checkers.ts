import { createHash, createHmac } from 'node:crypto';
import type { ReceivedRequest } from './stand-in-model.ts';

/** Credentials that a stand-in accepts now. */
export interface KnownCredentials {
  readonly keyId: string;
  readonly key: string;
  readonly sessionToken?: string;
}

const sha256 = (data: string): string => createHash('sha256').update(data).digest('hex');
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
const headerText = (request: ReceivedRequest, name: string): string => String(request.headers[name] ?? '');

/** RFC 3986, as AWS writes it down. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/**
 * Checks Signature Version 4 from AWS's description of it ("Create a signed AWS API request"), without the code that
 * signs. Null: accepted; else the error code that AWS sends.
 */
export function checkSigV4(
  request: ReceivedRequest,
  credentials: readonly KnownCredentials[],
  nowMs: number,
): string | null {
  const match =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      headerText(request, 'authorization'),
    );
  if (match === null) return 'MissingAuthenticationTokenException';
  const [, keyId, date = '', region = '', service = '', names = '', signature] = match;
  const known = credentials.find((one) => one.keyId === keyId);
  if (known === undefined) return 'UnrecognizedClientException';
  if ((known.sessionToken ?? '') !== headerText(request, 'x-amz-security-token'))
    return 'UnrecognizedClientException';
  const stamp = headerText(request, 'x-amz-date');
  const [, year, month, day, hour, minute, second] =
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(stamp) ?? [];
  const signedMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  if (!(Math.abs(nowMs - signedMs) <= 5 * 60_000)) return 'InvalidSignatureException';
  const required = [
    'host',
    'x-amz-date',
    ...(known.sessionToken === undefined ? [] : ['x-amz-security-token']),
  ];
  if (!required.every((name) => names.split(';').includes(name))) return 'IncompleteSignature';
  const [path = '/', query = ''] = request.path.split('?');
  const parameters = query
    .split('&')
    .filter((part) => part !== '')
    .map((part) => {
      const [name = '', value = ''] = part.split('=').map(decodeURIComponent);
      return `${encode(name)}=${encode(value)}`;
    })
    .sort();
  const canonical = [
    request.method,
    path.split('/').map(encode).join('/'),
    parameters.join('&'),
    ...names.split(';').map((name) => `${name}:${headerText(request, name).trim().replace(/ +/g, ' ')}`),
    '',
    names,
    sha256(request.text),
  ].join('\n');
  const scope = `${date}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', stamp, scope, sha256(canonical)].join('\n');
  const key = hmac(hmac(hmac(hmac(`AWS4${known.key}`, date), region), service), 'aws4_request');
  return hmac(key, text).toString('hex') === signature ? null : 'InvalidSignatureException';
}

/** Checks TC3-HMAC-SHA256 from Tencent Cloud's description ("Signature v3"). Null: accepted; else its error code. */
export function checkTc3(
  request: ReceivedRequest,
  credentials: readonly KnownCredentials[],
  nowMs: number,
): string | null {
  const match =
    /^TC3-HMAC-SHA256 Credential=([^/]+)\/([\d-]+)\/([^/]+)\/tc3_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/.exec(
      headerText(request, 'authorization'),
    );
  if (match === null) return 'AuthFailure.SignatureFailure';
  const [, keyId, date = '', service = '', names = '', signature] = match;
  const known = credentials.find((one) => one.keyId === keyId);
  if (known === undefined) return 'AuthFailure.SecretIdNotFound';
  if ((known.sessionToken ?? '') !== headerText(request, 'x-tc-token')) return 'AuthFailure.TokenFailure';
  const stamp = headerText(request, 'x-tc-timestamp');
  if (!(Math.abs(nowMs / 1000 - Number(stamp)) <= 300)) return 'AuthFailure.SignatureExpire';
  const [path = '/', query = ''] = request.path.split('?');
  const canonical = `${request.method}\n${path}\n${query}\n${names
    .split(';')
    .map((name) => `${name}:${headerText(request, name).trim().toLowerCase()}\n`)
    .join('')}\n${names}\n${sha256(request.text)}`;
  const text = `TC3-HMAC-SHA256\n${stamp}\n${date}/${service}/tc3_request\n${sha256(canonical)}`;
  const key = hmac(hmac(hmac(`TC3${known.key}`, date), service), 'tc3_request');
  return hmac(key, text).toString('hex') === signature ? null : 'AuthFailure.SignatureFailure';
}
