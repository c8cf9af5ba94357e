import { FerryError } from '../../lib/errors/ferry-error.ts';
import { CLIENT_KEY_VARIABLE, configurationText } from '../../setup/configuration-text.ts';
import { IssuerTrial } from '../../setup/issuer-trial.ts';
import { CurlError } from '../../setup/shell-words.ts';
import type { FoundToken } from '../../setup/token-finder.ts';
import { TokenSourceError } from '../../tokens/sources/token-source.ts';
import type { AdminParts } from '../admin-parts.ts';
import type { SetupCall, SetupDraft } from '../api-types.ts';

type Body = Readonly<Record<string, unknown>>;

const DEFAULT_NAME = 'corp';
/** A place of `token_at` and `expires_at` in docs/tokens.md. */
const PLACE = /^(?:\/.{0,500}|(?:header|cookie|form):[\w.-]{1,100}|body)$/s;

/** Calls the token endpoint of a curl line and shows its response with secrets hidden. */
export async function callSetup(body: Body): Promise<SetupCall> {
  const trial = trialOf(body);
  const { method, url } = trial.request;
  const startedMonoMs = performance.now();
  const elapsedMs = (): number => Math.round(performance.now() - startedMonoMs);
  try {
    const { response, found, message, lines } = await trial.run();
    return {
      is_ok: found !== null,
      message,
      request: { method, url },
      status: response.status,
      duration_ms: elapsedMs(),
      values: lines.map(shownValue),
      token_at: found?.tokenAt ?? null,
      expires_at: found?.expiresAt ?? null,
      lifetime_ms: found?.lifetimeMs == null ? null : Math.round(found.lifetimeMs),
    };
  } catch (error) {
    if (!(error instanceof TokenSourceError)) throw error;
    const nothing = { token_at: null, expires_at: null, lifetime_ms: null };
    return {
      is_ok: false,
      message: error.message,
      request: { method, url },
      status: null,
      duration_ms: elapsedMs(),
      values: [],
      ...nothing,
    };
  }
}

/** Writes a configuration for the curl line and an upstream, and tries it. */
export async function draftSetup(body: Body, parts: AdminParts): Promise<SetupDraft> {
  const name = textIn(body, 'name') ?? DEFAULT_NAME;
  if (!/^[A-Za-z]\w{0,63}$/.test(name)) throw invalid('name', 'must be letters, digits and _');
  const endpoint = URL.parse(textIn(body, 'endpoint') ?? '');
  if (endpoint === null || !/^https?:$/.test(endpoint.protocol))
    throw invalid('endpoint', 'must be an http:// or https:// URL');
  const trial = trialOf(body, name);
  const { response, found, message } = await runOrRefuse(trial);
  const chosen = chosenPlaces(body, found);
  if (chosen === null) throw new FerryError('invalid_request', { message });
  const draft = draftOrRefuse(() => trial.draft(chosen, response));
  const upstream = { name: 'llm', endpoint: endpoint.href.replace(/\/$/, ''), token: name };
  const configuration = { tokens: { [name]: draft.source }, upstreams: [upstream] };
  const notes = draft.notes.map((text) => ({ verdict: 'warn' as const, text }));
  const tried = await parts.tryConfiguration(configuration, draft.variables, textIn(body, 'model'));
  return {
    is_ok: tried.every(({ verdict }) => verdict !== 'fail'),
    findings: [...notes, ...tried.map(({ verdict, text }) => ({ verdict, text: parts.scrub(text) }))],
    yaml: configurationText('the set-up at /ui/setup', name, configuration),
    environment: [
      { name: CLIENT_KEY_VARIABLE, looks_like: 'the key of applications: any text that you choose' },
      ...Array.from(draft.variables, ([variable, { length }]) => ({
        name: variable,
        looks_like: `text of ${length} characters`,
      })),
    ],
  };
}

/** Neither variables nor files: the line of a browser must not read what the gateway keeps from it. */
function trialOf(body: Body, name = DEFAULT_NAME): IssuerTrial {
  const line = textIn(body, 'curl');
  if (line === null) throw invalid('curl', 'must be the curl line with which you get a token');
  return draftOrRefuse(() => {
    const trial = new IssuerTrial(line, { name, env: {}, readFile: refuseFile });
    const { ca, cert, key } = trial.request.tls;
    if (ca !== null || cert !== null || key !== null) refuseFile();
    return trial;
  });
}

function draftOrRefuse<Result>(run: () => Result): Result {
  try {
    return run();
  } catch (error) {
    if (error instanceof CurlError) throw invalid('curl', error.message);
    throw error;
  }
}

function refuseFile(): never {
  throw new CurlError(
    'the line names a file: run "tokenferry init" on the machine that has it, or paste its content',
  );
}

async function runOrRefuse(trial: IssuerTrial) {
  try {
    return await trial.run();
  } catch (error) {
    if (error instanceof TokenSourceError)
      throw new FerryError('invalid_request', { message: error.message, cause: error });
    throw error;
  }
}

/** What was chosen in place of what was found; null: neither. */
function chosenPlaces(body: Body, found: FoundToken | null): FoundToken | null {
  const tokenAt = placeIn(body, 'token_at');
  const expiresAt = placeIn(body, 'expires_at');
  if (found === null && tokenAt === null) return null;
  const base = found ?? {
    value: '',
    expiresAt: null,
    lifetimeMs: null,
    isLocalTime: false,
    refreshInAt: null,
  };
  return { ...base, tokenAt: tokenAt ?? found?.tokenAt ?? '', expiresAt: expiresAt ?? base.expiresAt };
}

function placeIn(body: Body, name: string): string | null {
  const text = textIn(body, name);
  if (text !== null && !PLACE.test(text))
    throw invalid(
      name,
      'must be a JSON pointer such as /data/token, header:NAME, cookie:NAME, form:NAME or body',
    );
  return text;
}

/** `/access_token  text of 812 characters   <- the token` */
function shownValue(line: string): SetupCall['values'][number] {
  const [, at = '', shown = line] = /^(\S+) {2}(.*?)(?: {3}<- .*)?$/s.exec(line) ?? [];
  return { at, shown };
}

function textIn(body: Body, name: string): string | null {
  const value = body[name];
  if (value === undefined || value === null || value === '') return null;
  if (typeof value !== 'string') throw invalid(name, 'must be a text');
  return value.trim();
}

function invalid(name: string, what: string): FerryError {
  return new FerryError('invalid_request', { message: `Invalid ${name}: ${what}.`, param: name });
}
