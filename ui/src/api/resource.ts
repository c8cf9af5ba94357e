import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { ApiError, get } from './client.ts';
import { changes } from './live.ts';

/** Something loaded from the admin API, with what was loaded last while a newer load fails. */
export interface Resource<T> {
  readonly data: T | null;
  readonly error: ApiError | null;
  readonly isLoading: boolean;
  reload(): void;
}

/**
 * Loads `path` and again every `everyMs` while the page is visible, and when the gateway reports a change. Null: nothing is
 * loaded.
 */
export function useResource<T>(path: string | null, everyMs = 0): Resource<T> {
  const [state, setState] = useState<{ path: string | null; data: T | null; error: ApiError | null }>({
    path,
    data: null,
    error: null,
  });
  const [isLoading, setLoading] = useState(path !== null);
  const running = useRef<AbortController | null>(null);
  const version = everyMs > 0 ? changes.value : 0;

  const load = useCallback(async () => {
    if (path === null) return;
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    setLoading(true);
    try {
      const data = await get<T>(path, controller.signal);
      setState({ path, data, error: null });
    } catch (error) {
      if (controller.signal.aborted) return;
      const failure = error instanceof ApiError ? error : new ApiError(0, String(error));
      setState((last) => ({ path, data: last.path === path ? last.data : null, error: failure }));
    }
    setLoading(false);
  }, [path]);

  useEffect(() => {
    void load();
    return () => running.current?.abort();
  }, [load, version]);

  useEffect(() => {
    if (everyMs <= 0) return;
    const timer = setInterval(() => {
      if (document.visibilityState === 'visible') void load();
    }, everyMs);
    return () => clearInterval(timer);
  }, [load, everyMs]);

  const isCurrent = state.path === path;
  return {
    data: isCurrent ? state.data : null,
    error: isCurrent ? state.error : null,
    isLoading,
    reload: () => void load(),
  };
}
