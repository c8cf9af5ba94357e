import { resolvePointer } from '../../../lib/json/json-pointer.ts';
import type { ExpiryHint } from '../../expiry/expiry.ts';
import { issuerWords } from '../../issuer/issuer-refusal.ts';
import { describeValue } from '../../issuer/issuer-response.ts';
import type { SourceVoice } from '../source-errors.ts';
import type { ExecFormat, ExecSettings } from './exec-settings.ts';

/** The token that a program printed and what it said about its end. */
interface ExecOutput {
  readonly value: unknown;
  readonly hints: readonly ExpiryHint[];
}

interface KnownForm {
  readonly tokenAt: readonly string[];
  readonly expiryAt: readonly Pick<ExpiryHint, 'origin' | 'as' | 'unit'>[];
}

/** The first token and the first expiry that are there count. */
const FORMS = {
  exec_credential: {
    tokenAt: ['/status/token'],
    expiryAt: [{ origin: '/status/expirationTimestamp', as: 'absolute', unit: 'iso' }],
  },
  // expiresOn is local time without a zone; since CLI 2.54 expires_on stands beside it.
  az: {
    tokenAt: ['/accessToken'],
    expiryAt: [
      { origin: '/expires_on', as: 'absolute', unit: 'auto' },
      { origin: '/expiresOn', as: 'absolute', unit: 'iso' },
    ],
  },
  gcloud: {
    tokenAt: ['/credential/access_token', '/token', '/access_token'],
    expiryAt: [
      { origin: '/credential/token_expiry', as: 'absolute', unit: 'iso' },
      { origin: '/expires_in', as: 'relative', unit: 's' },
    ],
  },
  gcp_executable: {
    tokenAt: ['/id_token', '/saml_response'],
    expiryAt: [{ origin: '/expiration_time', as: 'absolute', unit: 's' }],
  },
} as const satisfies Partial<Record<ExecFormat, KnownForm>>;

const OAUTH_FORM: KnownForm = {
  tokenAt: ['/access_token'],
  expiryAt: [
    { origin: '/expires_in', as: 'relative', unit: 'auto' },
    { origin: '/expires_at', as: 'absolute', unit: 'auto' },
  ],
};

/** Reads what the program printed; throws an error that describes it without quoting it. */
export function readExecOutput(voice: SourceVoice, settings: ExecSettings, stdout: string): ExecOutput {
  const { format = 'auto', tokenAt, expiresAt } = settings;
  const text = stdout.trim();
  const isText = format === 'text' || (format === 'auto' && tokenAt === undefined && !text.startsWith('{'));
  if (isText) return { value: text, hints: [] };
  const json = parse(voice, text);
  if (resolvePointer(json, '/success').value === false) {
    const words = issuerWords(json, (foreign) => voice.scrub(foreign));
    throw voice.error('command', `reports success: false${words}`);
  }
  if (tokenAt !== undefined) {
    const { pointer, as = 'auto', unit = 'auto' } = expiresAt ?? {};
    const hints =
      pointer === undefined || as === 'jwt'
        ? []
        : [{ origin: pointer, value: resolvePointer(json, pointer).value, as, unit }];
    return { value: need(voice, json, [tokenAt]), hints };
  }
  const form = format === 'auto' || format === 'json' ? formOf(json) : FORMS[format];
  const expiry = form.expiryAt.map((place) => ({
    ...place,
    value: resolvePointer(json, place.origin).value,
  }));
  const stated = expiry.find(({ value }) => value !== undefined && value !== null);
  return { value: need(voice, json, form.tokenAt), hints: stated === undefined ? [] : [stated] };
}

function formOf(json: unknown): KnownForm {
  const has = (pointer: string) => resolvePointer(json, pointer).value !== undefined;
  if (has('/status/token')) return FORMS.exec_credential;
  if (has('/accessToken')) return FORMS.az;
  if (has('/credential/access_token')) return FORMS.gcloud;
  if (has('/id_token') && has('/version')) return FORMS.gcp_executable;
  return OAUTH_FORM;
}

function need(voice: SourceVoice, json: unknown, pointers: readonly string[]): unknown {
  for (const pointer of pointers) {
    const { value } = resolvePointer(json, pointer);
    if (value !== undefined && value !== null) return value;
  }
  throw voice.error('command', `printed ${describeValue(json)}, with no token at ${pointers.join(' or ')}`);
}

function parse(voice: SourceVoice, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw voice.error('command', `printed text of ${text.length} characters, where JSON was expected`);
  }
}
