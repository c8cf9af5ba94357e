import { useEffect, useState } from 'preact/hooks';
import { LocationProvider, Route, Router, useLocation } from 'preact-iso';
import type { AdminStatus } from '../../src/admin/api-types.ts';
import { logOut, openSession, session } from './api/client.ts';
import { connect, connection, disconnect } from './api/live.ts';
import { type Resource, useResource } from './api/resource.ts';
import { ROOT } from './api/root.ts';
import { StatusContext } from './api/status.ts';
import { Notice } from './components/states.tsx';
import { Toasts } from './components/toast.tsx';
import { chooseLanguage, language, type TextKey, t } from './i18n/language.ts';
import { chooseTheme, type Theme, theme } from './lib/theme.ts';
import { ConfigurationView } from './views/configuration.tsx';
import { ConnectView } from './views/connect.tsx';
import { LoginView } from './views/login.tsx';
import { NowView } from './views/now.tsx';
import { PlaygroundView } from './views/playground.tsx';
import { RequestView } from './views/request.tsx';
import { RequestsView } from './views/requests.tsx';
import { SetupView } from './views/setup.tsx';
import { TokensView } from './views/tokens.tsx';
import { UpstreamsView } from './views/upstreams.tsx';
import { UsageView } from './views/usage.tsx';

const STATUS_EVERY_MS = 5_000;

const VIEWS: readonly { readonly path: string; readonly name: TextKey }[] = [
  { path: '/ui/', name: 'viewNow' },
  { path: '/ui/tokens', name: 'viewTokens' },
  { path: '/ui/upstreams', name: 'viewUpstreams' },
  { path: '/ui/requests', name: 'viewRequests' },
  { path: '/ui/usage', name: 'viewUsage' },
  { path: '/ui/playground', name: 'viewPlayground' },
  { path: '/ui/connect', name: 'viewConnect' },
  { path: '/ui/setup', name: 'viewSetup' },
  { path: '/ui/configuration', name: 'viewConfiguration' },
];

export function App() {
  const [failure, setFailure] = useState<string | null>(null);
  useEffect(() => {
    openSession().catch((error: unknown) =>
      setFailure(String(error instanceof Error ? error.message : error)),
    );
  }, []);
  const current = session.value;
  return (
    <>
      {failure !== null && <Notice kind="fail">{failure}</Notice>}
      {current === 'needed' && <LoginView />}
      {typeof current === 'object' && (
        <LocationProvider scope={`${ROOT}/ui`}>
          <Page />
        </LocationProvider>
      )}
      <Toasts />
    </>
  );
}

function Page() {
  useEffect(() => {
    connect();
    return disconnect;
  }, []);
  const status = useResource<AdminStatus>('/admin/status', STATUS_EVERY_MS);
  const base = `${ROOT}/ui`;
  return (
    <StatusContext.Provider value={status}>
      <a class="skip" href="#main">
        {t('skipToContent')}
      </a>
      <Header status={status} />
      <main id="main" tabIndex={-1}>
        <Router>
          <Route path={`${base}/`} component={NowView} />
          <Route path={`${base}/tokens`} component={TokensView} />
          <Route path={`${base}/upstreams`} component={UpstreamsView} />
          <Route path={`${base}/requests`} component={RequestsView} />
          <Route path={`${base}/requests/:id`} component={RequestView} />
          <Route path={`${base}/usage`} component={UsageView} />
          <Route path={`${base}/playground`} component={PlaygroundView} />
          <Route path={`${base}/connect`} component={ConnectView} />
          <Route path={`${base}/setup`} component={SetupView} />
          <Route path={`${base}/configuration`} component={ConfigurationView} />
          <Route default component={NoSuchView} />
        </Router>
      </main>
    </StatusContext.Provider>
  );
}

function NoSuchView() {
  return <p class="empty">{t('noSuchView')}</p>;
}

function Header({ status }: { readonly status: Resource<AdminStatus> }) {
  const { path } = useLocation();
  const here = path.slice(ROOT.length);
  const { data } = status;
  const access = typeof session.value === 'object' ? session.value.access : null;
  useEffect(() => {
    const view =
      VIEWS.find((one) => one.path === here) ??
      VIEWS.find((one) => one.path !== '/ui/' && here.startsWith(one.path));
    document
      .querySelector('nav [aria-current=page]')
      ?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    document.title = `${view === undefined ? '' : `${t(view.name)} · `}tokenferry`;
  });
  return (
    <header>
      <div class="brand">
        <img src={`${ROOT}/ui/icon.svg`} alt="" width="24" height="24" />
        <strong>tokenferry</strong>
        {data !== null && (
          <span class="quiet">
            {data.version} · {data.hostname}
          </span>
        )}
      </div>
      <nav aria-label={t('views')}>
        {VIEWS.map((view) => {
          const isHere =
            view.path === '/ui/' ? here === '/ui/' || here === '/ui' : here.startsWith(view.path);
          return (
            <a key={view.path} href={ROOT + view.path} aria-current={isHere ? 'page' : undefined}>
              {t(view.name)}
            </a>
          );
        })}
      </nav>
      <div class="controls">
        <Connection />
        <select
          aria-label={t('theme')}
          value={theme.value}
          onChange={(event) => chooseTheme(event.currentTarget.value as Theme)}
        >
          <option value="system">{t('themeSystem')}</option>
          <option value="light">{t('themeLight')}</option>
          <option value="dark">{t('themeDark')}</option>
        </select>
        <select
          aria-label="Language · 语言"
          value={language.value}
          onChange={(event) => chooseLanguage(event.currentTarget.value === 'en' ? 'en' : 'zh-CN')}
        >
          <option value="en">English</option>
          <option value="zh-CN">中文</option>
        </select>
        {access === 'session' && (
          <button type="button" class="small" onClick={() => void logOut()}>
            {t('logOut')}
          </button>
        )}
      </div>
    </header>
  );
}

function Connection() {
  const state = connection.value;
  const text = state === 'live' ? t('live') : state === 'lost' ? t('connectionLost') : t('connecting');
  return (
    <span class={`connection connection-${state}`} role="status">
      {text}
    </span>
  );
}
