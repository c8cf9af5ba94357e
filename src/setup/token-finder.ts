import { isJsonObject } from '../lib/json/json-object.ts';
import { type Expiry, resolveExpiry, usualHints } from '../tokens/expiry/expiry.ts';
import { type IssuerResponse, issuerNowMs } from '../tokens/issuer/issuer-client.ts';
import { describeValue, parseBody } from '../tokens/issuer/issuer-response.ts';
import { isSecretName, looksSecret } from './secret-names.ts';

/** Where a response has its token and its end, in the terms of a token source of `type: http`. */
export interface FoundToken {
  readonly tokenAt: string;
  readonly value: string;
  /** A pointer, if the expiry is not found without one; null: none is needed. */
  readonly expiresAt: string | null;
  /** Milliseconds; null: the response states none. */
  readonly lifetimeMs: number | null;
  /** True: the end is a local time without a zone, and that of this machine was assumed. */
  readonly isLocalTime: boolean;
  /** A pointer to the seconds after which the issuer recommends a renewal; null: none. */
  readonly refreshInAt: string | null;
}

/** One value of a response. */
interface Leaf {
  readonly pointer: string;
  readonly name: string;
  readonly value: unknown;
  /** The object that contains it. */
  readonly members: object;
  readonly depth: number;
}

/** Members in which issuers put a token, the likeliest first. */
const TOKEN_NAMES = [
  'access_token',
  'accesstoken',
  // Feishu.
  'tenant_access_token',
  'app_access_token',
  // Yandex.
  'iamtoken',
  // GigaChat in its second form.
  'tok',
  'token',
  'jwt',
  'bearer',
  'id_token',
  'idtoken',
];
const MAX_DEPTH = 5;
const MIN_TOKEN_CHARS = 16;
const VISIBLE = /^[\x21-\x7e]+$/;
const JWT = /^[\w-]{8,}\.[\w-]{8,}\.[\w-]*$/;

/** Finds the token of a successful response by its name, then by its shape; null when nothing looks like one. */
export function findToken(response: IssuerResponse): FoundToken | null {
  const body = parseBody(response);
  const leaves = body.kind === 'json' ? leavesOf(body.value) : [];
  const texts = leaves.filter(({ name, value }) => isTokenText(value) && !/refresh/i.test(name));
  const found =
    byName(texts) ??
    (body.kind === 'form' ? formToken(body.value) : null) ??
    inHeaders(response) ??
    asLeaf(texts.find(({ value }) => JWT.test(value as string))) ??
    asLeaf(
      texts.find(({ name, value }) => /token/i.test(name) && (value as string).length >= MIN_TOKEN_CHARS),
    ) ??
    wholeBody(response, body.kind) ??
    inCookies(response) ??
    asLeaf(texts.find(({ value }) => looksSecret(value as string))) ??
    asLeaf(texts.find(isEnvelopeOfToken));
  if (found === null) return null;
  // GitHub Copilot.
  const refreshIn = leaves.find(({ name, members }) => name === 'refresh_in' && members === found.members);
  return { ...withExpiry(found, leaves, response), refreshInAt: refreshIn?.pointer ?? null };
}

interface Found {
  readonly tokenAt: string;
  readonly value: string;
  readonly members: object;
}

/** `{"code":200,"data":"…"}`, and the tickets of single sign-on servers. */
const ENVELOPE_NAMES = /^(?:data|result|value|content|ticket|session_?id|sid)$/i;

function isEnvelopeOfToken({ name, value }: Leaf): boolean {
  const text = value as string;
  return ENVELOPE_NAMES.test(name) && text.length >= MIN_TOKEN_CHARS && /\d/.test(text);
}

function isTokenText(value: unknown): boolean {
  return typeof value === 'string' && value.length >= 4 && VISIBLE.test(value);
}

function asLeaf(leaf: Leaf | undefined): Found | null {
  return leaf === undefined
    ? null
    : { tokenAt: leaf.pointer, value: leaf.value as string, members: leaf.members };
}

function byName(texts: readonly Leaf[]): Found | null {
  const rank = ({ name, depth }: Leaf) => TOKEN_NAMES.indexOf(name.toLowerCase()) + depth / 10;
  const named = texts.filter(({ name }) => TOKEN_NAMES.includes(name.toLowerCase()));
  // Alibaba puts it below an object of that name: {"Token":{"Id":…}}.
  const inside = texts.filter(({ pointer }) => /\/token\/(?:id|value)$/i.test(pointer));
  return asLeaf(named.toSorted((left, right) => rank(left) - rank(right))[0] ?? inside[0]);
}

function formToken(form: Readonly<Record<string, string>>): Found | null {
  const name = Object.keys(form).find((one) => TOKEN_NAMES.includes(one.toLowerCase()));
  const value = name === undefined ? undefined : form[name];
  return value === undefined ? null : { tokenAt: `form:${name}`, value, members: form };
}

/** Huawei and other Keystones: X-Subject-Token. */
function inHeaders({ headers }: IssuerResponse): Found | null {
  for (const [name, value] of Object.entries(headers)) {
    if (name === 'set-cookie' || typeof value !== 'string' || value.length < MIN_TOKEN_CHARS) continue;
    if (/token|^authorization$|jwt/i.test(name) && !/csrf|xsrf|refresh/i.test(name) && VISIBLE.test(value))
      return { tokenAt: `header:${name}`, value, members: {} };
  }
  return null;
}

function inCookies({ headers }: IssuerResponse): Found | null {
  const lines = [headers['set-cookie'] ?? []].flat();
  for (const line of lines) {
    const [, name = '', value = ''] = /^\s*([^=;]+)=([^;]*)/.exec(line) ?? [];
    if (/token|session|sid|auth|jwt/i.test(name) && !/csrf|xsrf|refresh/i.test(name) && isTokenText(value))
      return { tokenAt: `cookie:${name}`, value, members: {} };
  }
  return null;
}

function wholeBody({ body }: IssuerResponse, kind: string): Found | null {
  const text = body.trim().replace(/^"(.*)"$/s, '$1');
  const isToken =
    (kind === 'text' || kind === 'json') && text.length >= MIN_TOKEN_CHARS && VISIBLE.test(text);
  return isToken && !/^[[{<]/.test(text) ? { tokenAt: 'body', value: text, members: {} } : null;
}

/** A name that speaks of the end of something, beside the usual members of `tokens/expiry`; `lease_duration` is Vault's. */
const EXPIRY_NAME = /expir|ttl|valid_?(?:for|to|until|time)|life_?time|lease_?(?:duration|time)/i;

function withExpiry(
  found: Found,
  leaves: readonly Leaf[],
  response: IssuerResponse,
): Omit<FoundToken, 'refreshInAt'> {
  const { tokenAt, value, members } = found;
  const nowMs = sentAtMs(response);
  const usual = resolveExpiry(usualHints(members), value, nowMs);
  const lifetimeMs = lifetimeOf(usual, nowMs);
  // Hints beside the token are looked at without being named.
  const isSeen = usualHints(members).length > 0 || lifetimeMs !== null;
  if (isSeen && lifetimeMs !== null)
    return { tokenAt, value, expiresAt: null, lifetimeMs, isLocalTime: usual.isLocalTime === true };
  // What stands beside the token is about it; elsewhere it may be what was requested, or of another token.
  const isBeside = (leaf: Leaf) => leaf.members === members;
  for (const leaf of [...leaves.filter(isBeside), ...leaves.filter((one) => !isBeside(one))]) {
    const isUsual = usualHints(leaf.members).some(({ origin }) => origin === leaf.name);
    if (!isUsual && !EXPIRY_NAME.test(leaf.name)) continue;
    if (/refresh/i.test(leaf.name)) continue;
    const hint = { origin: leaf.pointer, value: leaf.value, as: 'auto', unit: 'auto' } as const;
    const expiry = resolveExpiry([hint], '', nowMs);
    const stated = lifetimeOf(expiry, nowMs);
    const isLocalTime = expiry.isLocalTime === true;
    if (stated !== null) return { tokenAt, value, expiresAt: leaf.pointer, lifetimeMs: stated, isLocalTime };
  }
  return { tokenAt, value, expiresAt: null, lifetimeMs: null, isLocalTime: false };
}

/** Larger differences are a clock that is off. */
const MAX_DATE_ERROR_MS = 2_000;

/** When the request was sent, by the issuer's clock where ours differs from it: a `Date` header has whole seconds only. */
function sentAtMs(response: IssuerResponse): number {
  const { sentWallMs, receivedWallMs } = response;
  const isOff = Math.abs(issuerNowMs(response) - receivedWallMs) > MAX_DATE_ERROR_MS;
  return isOff ? issuerNowMs(response) - (receivedWallMs - sentWallMs) : sentWallMs;
}

function lifetimeOf({ lifetimeMs, expiresAtWallMs }: Expiry, nowMs: number): number | null {
  const leftMs = Math.min(lifetimeMs ?? Infinity, (expiresAtWallMs ?? Infinity) - nowMs);
  return Number.isFinite(leftMs) ? leftMs : null;
}

function leavesOf(root: unknown): Leaf[] {
  const leaves: Leaf[] = [];
  const visit = (value: unknown, pointer: string, depth: number): void => {
    if (depth > MAX_DEPTH || typeof value !== 'object' || value === null) return;
    for (const [name, child] of Object.entries(value)) {
      const at = `${pointer}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      if (typeof child === 'object') visit(child, at, depth + 1);
      else leaves.push({ pointer: at, name, value: child, members: value, depth });
    }
  };
  visit(root, '', 0);
  return leaves;
}

const MAX_SHOWN = 30;

/** A response for people, a line for each value; what may be secret is described and not shown. */
export function describeIssuerResponse(response: IssuerResponse, found: FoundToken | null): string[] {
  const body = parseBody(response);
  const leaves = body.kind === 'json' || body.kind === 'form' ? leavesOf(body.value) : [];
  const marks = (pointer: string) =>
    pointer === found?.tokenAt || `form:${pointer.slice(1)}` === found?.tokenAt
      ? '   <- the token'
      : pointer === found?.expiresAt
        ? '   <- its expiry'
        : '';
  const lines = leaves
    .slice(0, MAX_SHOWN)
    .map((leaf) => `${leaf.pointer}  ${shown(leaf)}${marks(leaf.pointer)}`);
  if (leaves.length > MAX_SHOWN) lines.push(`… ${leaves.length - MAX_SHOWN} more`);
  if (body.kind === 'json' && !isJsonObject(body.value)) lines.push(describeValue(body.value));
  if (found !== null && /^(?:header|cookie):|^body$/.test(found.tokenAt))
    lines.push(`${found.tokenAt}  ${describeText(found.value)}   <- the token`);
  return lines;
}

/** Numbers and short plain words are shown, such as `Bearer` and codes; nothing else. */
function shown({ name, value }: Leaf): string {
  if (typeof value !== 'string') return String(value);
  const isPlain = /^[\w .:/+-]{0,40}$/.test(value) && !looksSecret(value);
  const isHidden = isSecretName(name) || TOKEN_NAMES.includes(name.toLowerCase());
  return isPlain && !isHidden ? JSON.stringify(value) : describeText(value);
}

function describeText(value: string): string {
  return JWT.test(value) ? `a JWT of ${value.length} characters` : `text of ${value.length} characters`;
}
