import { useState } from 'preact/hooks';
import type { SetupCall, SetupDraft } from '../../../src/admin/api-types.ts';
import { ApiError, post } from '../api/client.ts';
import { CodeBlock } from '../components/copy.tsx';
import { Badge, Notice } from '../components/states.tsx';
import { t } from '../i18n/language.ts';
import { formatDuration } from '../lib/format.ts';

/** From the curl line of a token endpoint to a configuration. */
export function SetupView() {
  const [curl, setCurl] = useState('');
  const [call, setCall] = useState<SetupCall | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    setCall(null);
    try {
      setCall(await post<SetupCall>('/admin/setup/call', { curl }));
    } catch (error) {
      setProblem(error instanceof ApiError ? error.message : String(error));
    }
    setBusy(false);
  };
  return (
    <>
      <h1>{t('viewSetup')}</h1>
      <p>{t('setupIntro')}</p>
      <form onSubmit={(event) => void send(event)}>
        <label>
          {t('setupCurl')}
          <textarea
            rows={5}
            required
            spellcheck={false}
            autocomplete="off"
            placeholder="curl -X POST https://sso.corp.example/oauth2/token -d grant_type=client_credentials …"
            value={curl}
            onInput={(event) => setCurl(event.currentTarget.value)}
          />
        </label>
        <button type="submit" disabled={isBusy || curl.trim() === ''}>
          {t('setupSend')}
        </button>
      </form>
      {problem !== null && <Notice kind="fail">{problem}</Notice>}
      {call !== null && <Result key={call.message} curl={curl} call={call} />}
    </>
  );
}

function Result({ curl, call }: { readonly curl: string; readonly call: SetupCall }) {
  const [tokenAt, setTokenAt] = useState(call.token_at ?? '');
  const [expiresAt, setExpiresAt] = useState(call.expires_at ?? '');
  const [endpoint, setEndpoint] = useState('');
  const [model, setModel] = useState('');
  const [draft, setDraft] = useState<SetupDraft | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const places = call.values.map((value) => value.at);
  const tryIt = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    setDraft(null);
    try {
      setDraft(
        await post<SetupDraft>('/admin/setup/draft', {
          curl,
          endpoint,
          ...(tokenAt === '' ? {} : { token_at: tokenAt }),
          ...(expiresAt === '' ? {} : { expires_at: expiresAt }),
          ...(model === '' ? {} : { model }),
        }),
      );
    } catch (error) {
      setProblem(error instanceof ApiError ? error.message : String(error));
    }
    setBusy(false);
  };
  return (
    <section aria-labelledby="setup-response">
      <h2 id="setup-response">{t('setupResponse')}</h2>
      <Notice kind={call.is_ok ? 'ok' : 'fail'}>{call.message}</Notice>
      <p class="quiet">
        {call.request.method} {call.request.url} · {call.status ?? '–'} · {formatDuration(call.duration_ms)}
        {call.lifetime_ms !== null && ` · ${t('setupLifetime', { time: formatDuration(call.lifetime_ms) })}`}
      </p>
      {call.values.length > 0 && (
        <table class="fields">
          <caption class="hidden">{t('setupResponse')}</caption>
          <tbody>
            {call.values.map((value) => (
              <tr key={value.at}>
                <th scope="row">
                  <code>{value.at}</code>
                </th>
                <td class="long">{value.shown}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <form onSubmit={(event) => void tryIt(event)}>
        <Place label={t('setupTokenAt')} places={places} value={tokenAt} onChange={setTokenAt} />
        <Place label={t('setupExpiresAt')} places={places} value={expiresAt} onChange={setExpiresAt} />
        <label>
          {t('setupEndpoint')}
          <input
            type="url"
            required
            placeholder="https://llm.corp.example/v1"
            value={endpoint}
            onInput={(event) => setEndpoint(event.currentTarget.value)}
          />
        </label>
        <label>
          {t('setupModel')}
          <input value={model} onInput={(event) => setModel(event.currentTarget.value)} />
        </label>
        <button type="submit" disabled={isBusy || endpoint === ''}>
          {t('setupTry')}
        </button>
      </form>
      {problem !== null && <Notice kind="fail">{problem}</Notice>}
      {draft !== null && <Draft draft={draft} />}
    </section>
  );
}

function Place({
  label,
  places,
  value,
  onChange,
}: {
  readonly label: string;
  readonly places: readonly string[];
  readonly value: string;
  readonly onChange: (place: string) => void;
}) {
  return (
    <label>
      {label}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        <option value="">{t('setupAsFound')}</option>
        {[...new Set(value === '' ? places : [value, ...places])].map((place) => (
          <option key={place} value={place}>
            {place}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The variable with the key of applications. */
const CLIENT_KEY = 'TOKENFERRY_KEY';

function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(24));
  return `sk-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

function Draft({ draft }: { readonly draft: SetupDraft }) {
  const [key] = useState(newKey);
  return (
    <>
      <h2>{t('setupResult')}</h2>
      <ul class="plain">
        {draft.findings.map(({ verdict, text }) => (
          <li key={text}>
            <Badge kind={verdict}>{verdict}</Badge> {text}
          </li>
        ))}
      </ul>
      <h3>config.yaml</h3>
      <CodeBlock text={draft.yaml} label="config.yaml" />
      <h3>.env</h3>
      <p class="quiet">{t('setupEnvironment')}</p>
      <CodeBlock
        text={draft.environment
          .map(({ name, looks_like }) => `${name}=${name === CLIENT_KEY ? key : `<${looks_like}>`}`)
          .join('\n')}
        label=".env"
      />
      <p>{t('setupStart')}</p>
      <CodeBlock text="npm start -- --config config.yaml" label={t('setupStart')} />
    </>
  );
}
