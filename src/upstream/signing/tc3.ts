import { createHash, createHmac } from 'node:crypto';
import {
  type ConfiguredCredentials,
  cloudCredentials,
  headerOf,
  type RequestSigner,
  type SignableRequest,
  type SigningFacts,
  setHeader,
  splitPath,
} from './request-signer.ts';

interface Tc3Settings {
  /** The first label of the host: `hunyuan`, `lkeap`. */
  readonly service: string;
  /** The common parameters `X-TC-Action`, `X-TC-Version` and `X-TC-Region`, where the API has them. */
  readonly action: string | null;
  readonly version: string | null;
  readonly region: string | null;
  readonly credentials: ConfiguredCredentials;
}

const ALGORITHM = 'TC3-HMAC-SHA256';

/** Tencent Cloud's signature, version 3 (cloud.tencent.com, "Signature v3"): no package has it without a whole client. */
export class Tc3 implements RequestSigner {
  readonly kind = 'tc3';
  readonly usesTokenAsCredential = true;
  readonly coversBody = true;
  readonly rejectsCredentials =
    /AuthFailure\.(?:TokenFailure|SecretIdNotFound|InvalidSecretId|UnauthorizedOperation)/;
  readonly #settings: Tc3Settings;

  constructor(settings: Tc3Settings) {
    this.#settings = settings;
  }

  sign(request: SignableRequest, { nowWallMs, values }: SigningFacts): void {
    const { service, action, version, region, credentials } = this.#settings;
    const { keyId, key, sessionToken } = cloudCredentials(credentials, values);
    const { headers, host, method } = request;
    const timestamp = Math.floor(nowWallMs / 1000);
    setHeader(headers, 'x-tc-timestamp', String(timestamp));
    if (action !== null) setHeader(headers, 'x-tc-action', action);
    if (version !== null) setHeader(headers, 'x-tc-version', version);
    if (region !== null) setHeader(headers, 'x-tc-region', region);
    if (sessionToken !== undefined) setHeader(headers, 'x-tc-token', sessionToken);
    // The signature covers the content-type, which a GET has as well.
    if (headerOf(headers, 'content-type') === undefined) {
      const type = method === 'GET' ? 'application/x-www-form-urlencoded' : 'application/json';
      setHeader(headers, 'content-type', type);
    }
    const signed: [name: string, value: string][] = [
      ['content-type', headerOf(headers, 'content-type') ?? ''],
      ['host', host],
    ];
    if (action !== null) signed.push(['x-tc-action', action]);
    const names = signed.map(([name]) => name).join(';');
    const [path, query] = splitPath(request.path);
    const canonical = [
      method,
      path,
      query,
      ...signed.map(([name, value]) => `${name}:${value.trim().toLowerCase()}`),
      '',
      names,
      sha256(request.body ?? ''),
    ].join('\n');
    const date = new Date(timestamp * 1000).toISOString().slice(0, 10);
    const scope = `${date}/${service}/tc3_request`;
    const text = [ALGORITHM, timestamp, scope, sha256(canonical)].join('\n');
    const signingKey = hmac(hmac(hmac(`TC3${key}`, date), service), 'tc3_request');
    const signature = hmac(signingKey, text).toString('hex');
    const value = `${ALGORITHM} Credential=${keyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
    setHeader(headers, 'authorization', value);
  }
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
