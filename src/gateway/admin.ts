import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { AdminApp } from '../admin/admin-app.ts';
import type { AdminParts } from '../admin/admin-parts.ts';
import type { ReloadState } from '../admin/api-types.ts';
import { TokenHistory } from '../admin/live/token-history.ts';
import { FerryError } from '../lib/errors/ferry-error.ts';
import type { CircuitState } from '../routing/upstream-state/circuit.ts';
import type { RoutedUpstream } from '../routing/upstream-state/routed-upstream.ts';
import type { TokenEvent } from '../tokens/manager/token-event.ts';
import type { ReloadResult } from './reload.ts';

/**
 * The admin API's side of the gateway: what happened since the start, and the app itself, which is loaded by the first
 * request for it.
 */
export class AdminGateway {
  readonly history: TokenHistory;
  readonly #parts: Omit<AdminParts, 'lastReload'>;
  #lastReload: ReloadState | null = null;
  #app: Promise<AdminApp> | null = null;
  /** Loaded. */
  #open: AdminApp | null = null;

  constructor(parts: Omit<AdminParts, 'lastReload'>) {
    this.#parts = parts;
    this.history = new TokenHistory(parts.clock);
  }

  readonly listener: RequestListener = (request, response) => {
    if (this.#open !== null) this.#open.app(request, response);
    else void this.#loadAndServe(request, response);
  };

  tokenEvent(event: TokenEvent): void {
    const entry = this.history.add(event);
    if (entry !== null) this.#open?.feed.send('token', entry);
  }

  /** An upstream began to cool down or is back. */
  circuitChanged(name: string, state: CircuitState, upstream: RoutedUpstream | undefined): void {
    if (this.#open === null || upstream?.isPaused === true) return;
    const shown = state === 'closed' ? 'up' : state;
    this.#open.feed.send('upstream', { name, state: shown, at_ms: this.#parts.clock.wallMs() });
  }

  reloaded(result: ReloadResult): void {
    this.#lastReload = reloadState(result, this.#parts.clock.wallMs());
    this.#open?.feed.send('reload', this.#lastReload);
  }

  close(): void {
    this.#open?.feed.close();
  }

  async #loadAndServe(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#app ??= this.#load();
      (await this.#app).app(request, response);
    } catch (error) {
      this.#app = null;
      this.#parts.onInternalError(error);
      const { status } = new FerryError('internal', { message: '' });
      response.writeHead(status).end();
    }
  }

  async #load(): Promise<AdminApp> {
    const { createAdminApp } = await import('../admin/admin-app.ts');
    this.#open = createAdminApp({ ...this.#parts, lastReload: () => this.#lastReload }, this.history);
    return this.#open;
  }
}

function reloadState(result: ReloadResult, atMs: number): ReloadState {
  if (result.kind === 'failed')
    return {
      at_ms: atMs,
      is_ok: false,
      message: `The previous configuration stays in use: ${result.message}`,
      changed: [],
      needs_restart: [],
    };
  const { changed, kept } = result;
  const message = changed.length === 0 ? 'Nothing changed.' : `Changed: ${changed.join(', ')}.`;
  return { at_ms: atMs, is_ok: true, message, changed, needs_restart: kept };
}
