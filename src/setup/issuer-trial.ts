import { randomUUID } from 'node:crypto';
import { systemClock } from '../lib/clock.ts';
import { isJsonObject } from '../lib/json/json-object.ts';
import { Secret, SecretRegistry } from '../lib/secret.ts';
import { IssuerClient, type IssuerRequest, type IssuerResponse } from '../tokens/issuer/issuer-client.ts';
import { describeResponse, parseBody } from '../tokens/issuer/issuer-response.ts';
import { SourceErrors } from '../tokens/sources/source-errors.ts';
import { type CurlRequest, encodePairs, parseCurl } from './curl-line.ts';
import { draftSource, type SourceDraft } from './source-draft.ts';
import { describeIssuerResponse, type FoundToken, findToken } from './token-finder.ts';

interface TrialSettings {
  /** What the token source will be called. */
  readonly name: string;
  /** Variables that the line may use. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Reads a file that the line names; the files of this machine unless given. */
  readonly readFile?: (file: string) => string;
}

/** What calling the issuer gave; texts are without secrets. */
interface TrialResult {
  readonly response: IssuerResponse;
  /** Null: there is no token in it, and `message` says why. */
  readonly found: FoundToken | null;
  readonly message: string;
  /** The response, a line for each value. */
  readonly lines: readonly string[];
}

/** Before the issuer was called. */
const UNKNOWN_TOKEN: FoundToken = {
  tokenAt: '/access_token',
  value: '',
  expiresAt: null,
  lifetimeMs: null,
  isLocalTime: false,
  refreshInAt: null,
};
const CALL_TIMEOUT_MS = 30_000;
/** Success codes of issuers that respond to errors with status 200: Feishu, DingTalk, home-grown ones. */
const SUCCESS_MEMBERS = ['code', 'errcode', 'error_code', 'errorCode', 'ret', 'success'];
/** `0`, `"0000"`, `200`, `true`. */
const SUCCESS_VALUE = /^(?:0+|200|true)$/;

/** A curl line of a token endpoint: called as curl would, and turned into a token source. */
export class IssuerTrial {
  readonly request: CurlRequest;
  readonly #settings: TrialSettings;
  readonly #secrets = new SecretRegistry();
  /** Values of the line that came from variables of the environment. */
  readonly #fromVariables = new Map<string, string>();

  /** Throws `CurlError` for a line that cannot be read. */
  constructor(line: string, settings: TrialSettings) {
    this.#settings = settings;
    const variable = (name: string): string | undefined => {
      const value = settings.env[name];
      if (value !== undefined && value !== '') this.#fromVariables.set(value, name);
      return value;
    };
    this.request = parseCurl(line, variable, settings.readFile);
    // An issuer may repeat them in its errors.
    for (const value of this.#draft(UNKNOWN_TOKEN, {}).variables.values())
      for (const part of [value, ...value.split(/[^\w+/=.~%-]+/)]) this.#secrets.add(part);
  }

  /** Rejects with `TokenSourceError` when the issuer does not respond. */
  async run(): Promise<TrialResult> {
    const response = await this.#call();
    const isOk = response.status >= 200 && response.status < 300;
    const found = isOk ? findToken(response) : null;
    const lines = describeIssuerResponse(response, found).map((line) => this.#secrets.scrub(line));
    if (found !== null) this.#secrets.add(found.value);
    const message =
      found !== null
        ? describeFound(found)
        : isOk
          ? `no token was found in the response: ${describeResponse(response, parseBody(response))}.`
          : this.#refused(response);
    return { response, found, message, lines };
  }

  /** The token source, with everything that a person should know of it as notes. */
  draft(found: FoundToken, response: IssuerResponse): SourceDraft {
    const draft = this.#draft(found, successOf(response));
    const zoneNotes = found.isLocalTime ? [LOCAL_TIME_NOTE] : [];
    return { ...draft, notes: [...zoneNotes, ...describeRequest(this.request), ...draft.notes] };
  }

  #draft(found: FoundToken, success: Readonly<Record<string, string | number | boolean>>): SourceDraft {
    const { name, env } = this.#settings;
    const variables = this.#fromVariables;
    return draftSource(this.request, found, { name, env, variables, nowMs: Date.now(), success });
  }

  /** As curl would call it. */
  async #call(): Promise<IssuerResponse> {
    const { tls, proxy } = this.request;
    const files = { ca: tls.ca, cert: tls.cert, key: tls.cert === null ? null : (tls.key ?? tls.cert) };
    const given = Object.fromEntries(Object.entries(files).filter(([, file]) => file !== null));
    const client = new IssuerClient({
      source: this.#settings.name,
      field: 'curl line',
      connection: {
        tls: {
          ...(given as Record<string, string>),
          ...(tls.passphrase === null ? {} : { passphrase: new Secret(tls.passphrase) }),
        },
        ...(proxy === null ? {} : { proxy }),
      },
      baseDir: process.cwd(),
    });
    const context = { signal: AbortSignal.timeout(CALL_TIMEOUT_MS), clock: systemClock };
    try {
      return await client.call((send) => send(issuerRequest(this.request)), context);
    } finally {
      await client.close();
    }
  }

  #refused(response: IssuerResponse): string {
    const { name } = this.#settings;
    if (response.status >= 300 && response.status < 400) {
      const target = URL.parse(String(response.headers.location ?? ''));
      const where = target === null ? '' : ` to ${target.origin}${target.pathname}`;
      return `${name}: the issuer redirects${where}, which is not followed. Use the URL that it redirects to.`;
    }
    return new SourceErrors(name, this.#secrets).refused('curl line', response).message;
  }
}

function issuerRequest({ method, url, query, headers, body, basic }: CurlRequest): IssuerRequest {
  const sent: Record<string, string> = {};
  for (const [name, value] of headers) sent[name.toLowerCase()] = rendered(value);
  if (basic !== null) {
    const pair = Buffer.from(`${basic.username}:${basic.password}`).toString('base64');
    sent.authorization = `Basic ${pair}`;
  }
  const search =
    query.length === 0 ? '' : `?${encodePairs(query.map(([name, value]) => [name, rendered(value)]))}`;
  return { method, url: `${url}${search}`, headers: sent, body: body === null ? null : rendered(body) };
}

/** The replacement of a command of the line, which a shell would have run. */
function rendered(text: string): string {
  return text
    .replaceAll('{{uuid}}', () => randomUUID())
    .replaceAll('{{now_s}}', () => String(Math.floor(Date.now() / 1000)))
    .replaceAll('{{now_ms}}', () => String(Date.now()));
}

function describeRequest({ isMultipart, isInsecure }: CurlRequest): string[] {
  const notes: string[] = [];
  if (isMultipart)
    notes.push('the multipart form (-F) is sent as an urlencoded one, which this issuer takes.');
  if (isInsecure)
    notes.push('-k was left out: certificates are always checked. tls.ca names the authority to trust.');
  return notes;
}

const LOCAL_TIME_NOTE =
  'its end is a local time without a zone, read in that of this machine: if the lifetime is hours off, set the zone of the issuer, expires_at: { zone: "+08:00" }.';

function describeFound({ tokenAt, expiresAt, lifetimeMs }: FoundToken): string {
  const life =
    lifetimeMs === null
      ? 'its lifetime is not stated, 240 s are assumed (default_ttl)'
      : `it lives ${inWholeSeconds(lifetimeMs)} s${expiresAt === null ? '' : ` (${expiresAt})`}`;
  return `the token is at ${tokenAt}, ${life}`;
}

/** Ends are stated in whole seconds by clocks that differ a little: 301 s and 299 s are 300 s. */
function inWholeSeconds(ms: number): number {
  const tens = Math.round(ms / 10_000) * 10;
  return Math.abs(ms / 1000 - tens) < 2 ? tens : Math.round(ms / 1000);
}

function successOf(response: IssuerResponse): Record<string, string | number | boolean> {
  const body = parseBody(response);
  const json = body.kind === 'json' && isJsonObject(body.value) ? body.value : {};
  for (const member of SUCCESS_MEMBERS) {
    const value = json[member];
    if (typeof value === 'object' || value === undefined || !SUCCESS_VALUE.test(String(value))) continue;
    return { [`/${member}`]: value === '0' ? 0 : (value as string | number | boolean) };
  }
  return {};
}
