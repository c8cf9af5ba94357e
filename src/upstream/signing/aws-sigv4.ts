import { createHash, createHmac, type Hash, type Hmac } from 'node:crypto';
import type { SignatureV4 } from '@smithy/signature-v4';
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

interface AwsSettings {
  readonly region: string;
  /** The signing name: `bedrock`, `sagemaker`, `execute-api`. */
  readonly service: string;
  readonly credentials: ConfiguredCredentials;
}

/** Headers that are signed: a proxy in between may change any other. `x-amz-*` are always signed. */
const SIGNED_HEADERS: ReadonlySet<string> = new Set(['content-type', 'host']);

/** AWS Signature Version 4, by the signer of AWS's own SDK, which is loaded with the first request. */
export class AwsSigV4 implements RequestSigner {
  readonly kind = 'aws_sigv4';
  readonly usesTokenAsCredential = true;
  readonly coversBody = true;
  /** Codes of AWS's common errors for temporary credentials, and their texts. */
  readonly rejectsCredentials =
    /ExpiredToken|UnrecognizedClientException|InvalidClientTokenId|security token included in the request is (?:expired|invalid)/;
  readonly #settings: AwsSettings;
  #loaded: typeof SignatureV4 | null = null;

  constructor(settings: AwsSettings) {
    this.#settings = settings;
  }

  async sign(request: SignableRequest, { nowWallMs, values }: SigningFacts): Promise<void> {
    this.#loaded ??= (await import('@smithy/signature-v4')).SignatureV4;
    const { region, service, credentials } = this.#settings;
    const { keyId, key, sessionToken } = cloudCredentials(credentials, values);
    const signer = new this.#loaded({
      region,
      service,
      credentials: {
        accessKeyId: keyId,
        secretAccessKey: key,
        ...(sessionToken === undefined ? {} : { sessionToken }),
      },
      sha256: Sha256,
      // S3 requires the checksum as a header and signs paths as they are.
      applyChecksum: service === 's3',
      uriEscapePath: service !== 's3',
    });
    const [path, query] = splitPath(request.path);
    const signed = await signer.sign(
      {
        method: request.method,
        protocol: 'https:',
        hostname: request.host,
        path,
        query: parametersOf(query),
        headers: signedHeaders(request),
        body: request.body ?? undefined,
      },
      { signingDate: new Date(nowWallMs) },
    );
    for (const [name, value] of Object.entries(signed.headers)) {
      if (name === 'authorization' || name.startsWith('x-amz-')) setHeader(request.headers, name, value);
    }
  }
}

function signedHeaders({ headers, host }: SignableRequest): Record<string, string> {
  const signed: Record<string, string> = { host };
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] ?? '';
    if (SIGNED_HEADERS.has(name) || name.startsWith('x-amz-')) signed[name] = headerOf(headers, name) ?? '';
  }
  return signed;
}

/** Decoded, as the signer encodes them by its own rules. */
function parametersOf(query: string): Record<string, string | string[]> {
  const parameters: Record<string, string[]> = {};
  for (const part of query.split('&')) {
    if (part === '') continue;
    const mark = part.indexOf('=');
    const name = decoded(mark === -1 ? part : part.slice(0, mark));
    parameters[name] ??= [];
    parameters[name].push(mark === -1 ? '' : decoded(part.slice(mark + 1)));
  }
  return parameters;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** SHA-256 and its HMAC in the form that the signer calls. */
class Sha256 {
  #hash: Hash | Hmac;
  readonly #secret: string | ArrayBuffer | ArrayBufferView | undefined;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#secret = secret;
    this.#hash = this.#begin();
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    this.#hash = this.#begin();
  }

  #begin(): Hash | Hmac {
    return this.#secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(this.#secret));
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): string | Uint8Array {
  if (typeof data === 'string') return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
