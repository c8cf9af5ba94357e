import { signal } from '@preact/signals';
import type { AdminEvents, AdminRequest, AdminRequests, AdminTick } from '../../../src/admin/api-types.ts';
import { get } from './client.ts';
import { ROOT } from './root.ts';

/** How many of the last requests are kept for the live tail. */
const MAX_KEPT = 100;
const RETRY_MS = 2_000;
/** The gateway sends a tick every five seconds: a connection without one for so long is dead, whatever the browser thinks. */
const SILENT_MS = 16_000;

export const connection = signal<'connecting' | 'live' | 'lost'>('connecting');
export const tick = signal<AdminTick | null>(null);
/** The newest first. */
export const latestRequests = signal<readonly AdminRequest[]>([]);
/** False until the last requests were loaded once, or could not be. */
export const isLatestLoaded = signal(false);
/** Counts events that change tokens, upstreams or the configuration: views load again. */
export const changes = signal(0);
/** The gateway's clock minus this browser's. */
export const clockOffsetMs = signal(0);

/** Fifty events a second are drawn a few times a second. */
const SHOW_EVERY_MS = 250;
let arrived: AdminRequest[] = [];
let isChanged = false;
let showing: ReturnType<typeof setTimeout> | undefined;

function showSoon(): void {
  if (showing !== undefined) return;
  showing = setTimeout(() => {
    showing = undefined;
    if (arrived.length > 0) latestRequests.value = [...arrived, ...latestRequests.value].slice(0, MAX_KEPT);
    arrived = [];
    if (isChanged) changes.value += 1;
    isChanged = false;
  }, SHOW_EVERY_MS);
}

let source: EventSource | null = null;
let retry: ReturnType<typeof setTimeout> | undefined;
let silence: ReturnType<typeof setTimeout> | undefined;

/** Loads the last requests, which events only add to. */
async function loadLatest(): Promise<void> {
  try {
    const { requests } = await get<AdminRequests>('/admin/requests?limit=20');
    const known = new Set(latestRequests.value.map(keyOf));
    latestRequests.value = [
      ...latestRequests.value,
      ...requests.filter((request) => !known.has(keyOf(request))),
    ]
      .sort((left, right) => right.created_at_ms - left.created_at_ms)
      .slice(0, MAX_KEPT);
  } catch {
    // The view of requests says what is wrong; events still come.
  }
  isLatestLoaded.value = true;
}

/** What tells requests apart: clients may repeat ids. */
export function keyOf(request: AdminRequest): string {
  return `${request.id} ${request.created_at_ms}`;
}

/** A page that nobody has seen for so long follows nothing, and loads everything again when it is seen. */
const HIDDEN_MS = 60_000;
let hiding: ReturnType<typeof setTimeout> | undefined;

function followVisibility(): void {
  clearTimeout(hiding);
  if (document.visibilityState === 'hidden') hiding = setTimeout(close, HIDDEN_MS);
  else if (source === null) open();
}

/** Follows `/admin/events` until `disconnect`, while the page is visible; reconnects by itself. */
export function connect(): void {
  void loadLatest();
  document.addEventListener('visibilitychange', followVisibility);
  open();
}

export function disconnect(): void {
  document.removeEventListener('visibilitychange', followVisibility);
  clearTimeout(hiding);
  close();
}

function open(): void {
  close();
  const opened = new EventSource(`${ROOT}/admin/events`);
  source = opened;
  const lose = (): void => {
    opened.close();
    clearTimeout(silence);
    connection.value = 'lost';
    retry = setTimeout(open, RETRY_MS);
  };
  silence = setTimeout(lose, SILENT_MS);
  listen(opened, 'tick', (event) => {
    clearTimeout(silence);
    silence = setTimeout(lose, SILENT_MS);
    // After a gap; at first everything is being loaded anyway.
    if (tick.value !== null && connection.value !== 'live') {
      changes.value += 1;
      void loadLatest();
    }
    connection.value = 'live';
    clockOffsetMs.value = event.now_ms - Date.now();
    tick.value = event;
  });
  listen(opened, 'request', (event) => {
    arrived.unshift(event);
    showSoon();
  });
  for (const name of ['token', 'upstream', 'reload'] as const) {
    listen(opened, name, () => {
      isChanged = true;
      showSoon();
    });
  }
  opened.onerror = lose;
}

function close(): void {
  clearTimeout(retry);
  clearTimeout(silence);
  source?.close();
  source = null;
  // Everything is loaded again with the first tick.
  if (connection.value === 'live') connection.value = 'connecting';
}

function listen<Name extends keyof AdminEvents>(
  from: EventSource,
  name: Name,
  take: (event: AdminEvents[Name]) => void,
): void {
  from.addEventListener(name, (event) => take(JSON.parse((event as MessageEvent<string>).data)));
}

/** The time by the gateway's clock. */
export function nowMs(): number {
  return Date.now() + clockOffsetMs.value;
}
