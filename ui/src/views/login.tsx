import { useState } from 'preact/hooks';
import { ApiError, logIn } from '../api/client.ts';
import { Notice } from '../components/states.tsx';
import { t } from '../i18n/language.ts';

export function LoginView() {
  const [key, setKey] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await logIn({ key });
    } catch (error) {
      setProblem(error instanceof ApiError ? error.message : String(error));
    }
    setBusy(false);
  };
  return (
    <main class="login">
      <h1>tokenferry</h1>
      <form onSubmit={(event) => void submit(event)}>
        <label for="admin-key">{t('adminKey')}</label>
        <input
          id="admin-key"
          type="password"
          autocomplete="current-password"
          required
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <button type="submit" disabled={isBusy || key === ''}>
          {t('logIn')}
        </button>
        <p class="quiet">{t('adminKeyWhere')}</p>
      </form>
      {problem !== null && <Notice kind="fail">{problem}</Notice>}
    </main>
  );
}
