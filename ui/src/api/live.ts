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
/** Counts events that change tokens, upstreams or the configuration: views load again. */
export const changes = signal(0);
/** The gateway's clock minus this browser's. */
export const clockOffsetMs = signal(0);
/** Past ticks, oldest first, for the small charts of the first view. */
export const ticks = signal<readonly AdminTick[]>([]);

const MAX_TICKS = 120;

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
}

/** What tells requests apart: clients may repeat ids. */
export function keyOf(request: AdminRequest): string {
  return `${request.id} ${request.created_at_ms}`;
}

/** Follows `/admin/events` until `disconnect`; reconnects by itself. */
export function connect(): void {
  disconnect();
  connection.value = connection.value === 'live' ? 'lost' : connection.value;
  const opened = new EventSource(`${ROOT}/admin/events`);
  source = opened;
  const lose = (): void => {
    opened.close();
    clearTimeout(silence);
    connection.value = 'lost';
    retry = setTimeout(connect, RETRY_MS);
  };
  silence = setTimeout(lose, SILENT_MS);
  listen(opened, 'tick', (event) => {
    clearTimeout(silence);
    silence = setTimeout(lose, SILENT_MS);
    if (connection.value !== 'live') {
      changes.value += 1;
      void loadLatest();
    }
    connection.value = 'live';
    clockOffsetMs.value = event.now_ms - Date.now();
    tick.value = event;
    ticks.value = [...ticks.value, event].slice(-MAX_TICKS);
  });
  listen(opened, 'request', (event) => {
    latestRequests.value = [event, ...latestRequests.value].slice(0, MAX_KEPT);
  });
  for (const name of ['token', 'upstream', 'reload'] as const) {
    listen(opened, name, () => {
      changes.value += 1;
    });
  }
  opened.onerror = lose;
}

export function disconnect(): void {
  clearTimeout(retry);
  clearTimeout(silence);
  source?.close();
  source = null;
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
