import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import type { AdminRequest, AdminRequests } from '../../../src/admin/api-types.ts';
import { ApiError, get } from '../api/client.ts';
import { keyOf, latestRequests } from '../api/live.ts';
import { ROOT } from '../api/root.ts';
import { OUTCOMES, outcomeText, RequestTable } from '../components/request-table.tsx';
import { Empty, Notice } from '../components/states.tsx';
import { type TextKey, t } from '../i18n/language.ts';

const PAGE = 50;
const HOUR_MS = 3_600_000;

/** Up to now, in place of `since`. */
const RANGES: Readonly<Record<string, { readonly name: TextKey; readonly ms: number }>> = {
  hour: { name: 'lastHour', ms: HOUR_MS },
  day: { name: 'lastDay', ms: 24 * HOUR_MS },
  week: { name: 'lastWeek', ms: 7 * 24 * HOUR_MS },
};

/** The filters of the address, which are those of the admin API. */
const FIELDS: readonly {
  readonly name: string;
  readonly label: TextKey;
  readonly type: 'search' | 'datetime-local';
}[] = [
  { name: 'model', label: 'columnModel', type: 'search' },
  { name: 'client', label: 'columnClient', type: 'search' },
  { name: 'upstream', label: 'columnUpstream', type: 'search' },
  { name: 'status', label: 'columnStatus', type: 'search' },
  { name: 'since', label: 'since', type: 'datetime-local' },
  { name: 'until', label: 'until', type: 'datetime-local' },
];

/** Every recorded request, filtered; without a filter new ones appear as they finish. */
export function RequestsView() {
  const { query, route } = useLocation();
  const filters = new URLSearchParams(query as Record<string, string>);
  const isFiltered = filters.size > 0;
  const apply = (form: HTMLFormElement): void => {
    const wanted = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      if (typeof value === 'string' && value !== '') wanted.set(name, value);
    }
    route(`${ROOT}/ui/requests${wanted.size === 0 ? '' : `?${wanted}`}`);
  };
  const applyNow = (event: { readonly currentTarget: { readonly form: HTMLFormElement | null } }): void => {
    if (event.currentTarget.form !== null) apply(event.currentTarget.form);
  };
  return (
    <>
      <h1>{t('viewRequests')}</h1>
      <form
        class="filters"
        key={filters.toString()}
        onSubmit={(event) => {
          event.preventDefault();
          apply(event.currentTarget);
        }}
      >
        <label class="wide">
          {t('search')}
          <input
            name="text"
            type="search"
            placeholder={t('searchHint')}
            defaultValue={filters.get('text') ?? filters.get('id') ?? ''}
          />
        </label>
        <label>
          {t('range')}
          <select name="range" onChange={applyNow}>
            <option value="">{t('all')}</option>
            {Object.entries(RANGES).map(([name, range]) => (
              <option key={name} value={name} selected={filters.get('range') === name}>
                {t(range.name)}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t('columnOutcome')}
          <select name="outcome" onChange={applyNow} defaultValue={filters.get('outcome') ?? ''}>
            <option value="">{t('all')}</option>
            {OUTCOMES.map((outcome) => (
              <option key={outcome} value={outcome} selected={filters.get('outcome') === outcome}>
                {outcomeText(outcome)}
              </option>
            ))}
          </select>
        </label>
        <label class="check">
          <input
            name="errors"
            type="checkbox"
            value="1"
            onChange={applyNow}
            defaultChecked={filters.get('errors') === '1'}
          />
          {t('errorsOnly')}
        </label>
        <button type="submit">{t('filter')}</button>
        {isFiltered && (
          <a class="clear" href={`${ROOT}/ui/requests`}>
            {t('clearFilters')}
          </a>
        )}
        <details open={FIELDS.some(({ name }) => filters.has(name))}>
          <summary>{t('moreFilters')}</summary>
          <div class="filters">
            {FIELDS.map(({ name, label, type }) => (
              <label key={name} for={`filter-${name}`}>
                {t(label)}
                {type === 'search' ? (
                  <input
                    id={`filter-${name}`}
                    name={name}
                    type="search"
                    defaultValue={filters.get(name) ?? ''}
                  />
                ) : (
                  <input
                    id={`filter-${name}`}
                    name={name}
                    type="datetime-local"
                    step={1}
                    defaultValue={filters.get(name) ?? ''}
                  />
                )}
              </label>
            ))}
          </div>
        </details>
      </form>
      <Pages key={filters.toString()} filters={filters} isLive={!isFiltered} />
    </>
  );
}

function Pages({ filters, isLive }: { readonly filters: URLSearchParams; readonly isLive: boolean }) {
  const [requests, setRequests] = useState<readonly AdminRequest[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const [searchedUntil, setSearchedUntil] = useState<number | null>(null);
  const [state, setState] = useState<'loading' | 'ready'>('loading');
  const [problem, setProblem] = useState<string | null>(null);

  const load = async (from: string | null): Promise<void> => {
    setState('loading');
    setProblem(null);
    const query = new URLSearchParams(filters);
    for (const name of ['since', 'until']) {
      const local = query.get(name);
      // The field has the browser's zone, the API wants one that it can read.
      if (local !== null && !Number.isNaN(Date.parse(local))) query.set(name, String(Date.parse(local)));
    }
    const range = RANGES[query.get('range') ?? ''];
    query.delete('range');
    if (range !== undefined && !query.has('since')) query.set('since', String(Date.now() - range.ms));
    query.set('limit', String(PAGE));
    if (from !== null) query.set('cursor', from);
    try {
      const [page, named] = await Promise.all([
        get<AdminRequests>(`/admin/requests?${query}`),
        from === null ? requestsNamed(query.get('text')) : [],
      ]);
      if (named.length > 0) {
        setRequests(named);
        setCursor(null);
        setSearchedUntil(null);
        setState('ready');
        return;
      }
      setRequests((known) => (from === null ? page.requests : [...known, ...page.requests]));
      setCursor(page.next_cursor);
      setSearchedUntil(page.searched_until_ms);
    } catch (error) {
      setProblem(error instanceof ApiError ? error.message : String(error));
    }
    setState('ready');
  };

  useEffect(() => {
    void load(null);
  }, []);

  const shown = isLive ? withLatest(requests, latestRequests.value) : requests;
  return (
    <>
      {problem !== null && <Notice kind="fail">{problem}</Notice>}
      {shown.length > 0 && (
        <section aria-label={t('viewRequests')}>
          <RequestTable requests={shown} caption={t('viewRequests')} />
        </section>
      )}
      {shown.length === 0 && state === 'ready' && problem === null && (
        <Empty>{isLive ? t('noRequestsYet') : t('nothingFound')}</Empty>
      )}
      {state === 'loading' && <p class="quiet loading">{t('loading')}</p>}
      {state === 'ready' && searchedUntil !== null && (
        <p class="quiet">{t('searchedUntil', { time: new Date(searchedUntil).toLocaleString() })}</p>
      )}
      {state === 'ready' && cursor !== null && (
        <button type="button" onClick={() => void load(cursor)}>
          {t('older')}
        </button>
      )}
    </>
  );
}

/** Requests whose id is the text: found at once, however old they are. */
async function requestsNamed(text: string | null): Promise<readonly AdminRequest[]> {
  if (text === null || text.length < 6 || /\s/.test(text)) return [];
  const { requests } = await get<AdminRequests>(`/admin/requests?id=${encodeURIComponent(text)}`);
  return requests;
}

/** New requests before those that were loaded, each once. */
function withLatest(
  loaded: readonly AdminRequest[],
  latest: readonly AdminRequest[],
): readonly AdminRequest[] {
  const known = new Set(loaded.map(keyOf));
  return [...latest.filter((request) => !known.has(keyOf(request))), ...loaded];
}
