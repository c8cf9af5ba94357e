import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import type { AdminModels, AdminStatus } from '../../../src/admin/api-types.ts';
import { useResource } from '../api/resource.ts';
import { ROOT } from '../api/root.ts';
import { useStatus } from '../api/status.ts';
import { baseUrlOf, ClientKey } from '../components/client-key.tsx';
import { CodeBlock, CopyButton } from '../components/copy.tsx';
import { Loaded, Notice } from '../components/states.tsx';
import { t } from '../i18n/language.ts';
import { APPLICATIONS, type Application, type ApplicationCheck, KEY } from '../lib/applications.ts';
import { clientKey } from '../lib/client-key.ts';
import { formatDuration } from '../lib/format.ts';
import { callGateway } from '../lib/gateway-call.ts';

/** The exact fields for an application, and a check with the requests that it sends. */
export function ConnectView() {
  const status = useStatus();
  const models = useResource<AdminModels>('/admin/models');
  const { query, route } = useLocation();
  const application = APPLICATIONS.find((one) => one.name === query.application) ?? APPLICATIONS[0];
  return (
    <>
      <h1>{t('viewConnect')}</h1>
      <div class="choices" role="group" aria-label={t('application')}>
        {APPLICATIONS.map(({ name }) => (
          <button
            key={name}
            type="button"
            aria-pressed={application?.name === name}
            onClick={() => route(`${ROOT}/ui/connect?application=${encodeURIComponent(name)}`)}
          >
            {name}
          </button>
        ))}
      </div>
      <Loaded from={status}>
        {(data) => (
          <Loaded from={models}>
            {(list) =>
              application === undefined ? null : (
                <Fields
                  key={application.name}
                  application={application}
                  status={data}
                  models={list.models.map((model) => model.id)}
                />
              )
            }
          </Loaded>
        )}
      </Loaded>
    </>
  );
}

interface FieldsProps {
  readonly application: Application;
  readonly status: AdminStatus;
  readonly models: readonly string[];
}

function Fields({ application, status, models }: FieldsProps) {
  const [model, setModel] = useState(models[0] ?? '');
  const baseUrl = baseUrlOf(status);
  const facts = { baseUrl, model: model || 'MODEL' };
  const fields = application.fields(facts);
  return (
    <section aria-labelledby="connect-fields">
      <h2 id="connect-fields">{application.name}</h2>
      <p class="quiet">{application.where}</p>
      <label class="narrow">
        {t('columnModel')}
        <select value={model} onChange={(event) => setModel(event.currentTarget.value)}>
          {models.map((id) => (
            <option key={id} value={id}>
              {id}
            </option>
          ))}
        </select>
      </label>
      {fields.length > 0 && (
        <table class="fields">
          <caption class="hidden">{application.name}</caption>
          <tbody>
            {fields.map(([name, value, isHint]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{isHint === true ? value : <code>{value}</code>}</td>
                <td>{isHint !== true && <CopyButton text={withKey(value)} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {application.code !== undefined && (
        <CodeBlock
          text={application.code(facts)}
          copied={withKey(application.code(facts))}
          label={application.name}
        />
      )}
      {/^(?:localhost|127\.|\[::1\])/.test(location.hostname) && (
        <Notice kind="info">{t('containerHint')}</Notice>
      )}
      <ClientKey status={status} hint={t('keyIsCopied', { placeholder: KEY })} />
      <Checks application={application} baseUrl={baseUrl} model={model} />
    </section>
  );
}

/** As it is copied: with the key that was typed, which is not shown. */
function withKey(text: string): string {
  return clientKey.value === '' ? text : text.replaceAll(KEY, () => clientKey.value);
}

interface Finding {
  readonly check: ApplicationCheck;
  readonly isOk: boolean;
  readonly text: string;
}

function Checks({
  application,
  baseUrl,
  model,
}: {
  readonly application: Application;
  readonly baseUrl: string;
  readonly model: string;
}) {
  const [findings, setFindings] = useState<readonly Finding[]>([]);
  const [isBusy, setBusy] = useState(false);
  const run = async (): Promise<void> => {
    setBusy(true);
    setFindings([]);
    for (const check of application.checks) {
      const finding = await runCheck(check, baseUrl, model);
      setFindings((known) => [...known, finding]);
    }
    setBusy(false);
  };
  return (
    <>
      <p>
        <button type="button" class="primary" disabled={isBusy} onClick={() => void run()}>
          {t('runChecks', { name: application.name })}
        </button>
      </p>
      <ul class="plain" aria-live="polite">
        {findings.map(({ check, isOk, text }) => (
          <li key={check.name}>
            <Notice kind={isOk ? 'ok' : 'fail'}>
              <strong>{t(check.name)}</strong> {text}
            </Notice>
          </li>
        ))}
      </ul>
    </>
  );
}

async function runCheck(check: ApplicationCheck, baseUrl: string, model: string): Promise<Finding> {
  const startedMs = performance.now();
  try {
    const response = await callGateway(
      { baseUrl, key: clientKey.value },
      check.path,
      check.body === null ? undefined : check.body(model),
    );
    const problem = check.problem(response, await response.text());
    const text =
      problem === null ? t('checkOk', { time: formatDuration(performance.now() - startedMs) }) : t(problem);
    return { check, isOk: problem === null, text };
  } catch (error) {
    return { check, isOk: false, text: error instanceof Error ? error.message : String(error) };
  }
}
