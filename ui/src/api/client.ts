import { signal } from '@preact/signals';
import type { AdminLogin, AdminSession } from '../../../src/admin/api-types.ts';
import { ROOT } from './root.ts';

/** The admin API answered with an error, or not at all (`status` 0). */
export class ApiError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** `unknown`: not asked yet. `needed`: the admin key has to be entered. */
export const session = signal<AdminSession | 'unknown' | 'needed'>('unknown');

/** Loads a JSON of the admin API. Throws ApiError. */
export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return call<T>('GET', path, undefined, signal);
}

/** An action of the admin API. Throws ApiError. */
export function post<T>(path: string, body?: unknown): Promise<T> {
  return call<T>('POST', path, body);
}

/** Asks who we are. */
export async function openSession(): Promise<void> {
  try {
    session.value = await get<AdminSession>('/admin/session');
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 401 && error.status !== 403)) throw error;
    session.value = 'needed';
  }
}

/** Throws ApiError: 401 for a wrong key, 429 after too many wrong ones. */
export async function logIn(login: AdminLogin): Promise<AdminSession> {
  const opened = await post<AdminSession>('/admin/session', login);
  session.value = opened;
  return opened;
}

export async function logOut(): Promise<void> {
  await call<void>('DELETE', '/admin/session');
  session.value = 'needed';
}

/** What an action of the admin API needs beside its body. */
export function actionHeaders(): Record<string, string> {
  const current = session.value;
  return typeof current === 'object' && current.csrf_token !== null
    ? { 'x-csrf-token': current.csrf_token }
    : {};
}

async function call<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const headers: Record<string, string> = method === 'GET' ? {} : actionHeaders();
  if (body !== undefined) headers['content-type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(ROOT + path, {
      method,
      headers,
      credentials: 'same-origin',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError(0, 'The gateway does not answer.');
  }
  if (response.status === 401 && typeof session.value === 'object') session.value = 'needed';
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  if (!response.ok) throw new ApiError(response.status, messageOf(text) ?? `HTTP ${response.status}`);
  return JSON.parse(text) as T;
}

function messageOf(text: string): string | null {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: unknown } };
    return typeof error?.message === 'string' ? error.message : null;
  } catch {
    return null;
  }
}
