import { Agent, type Dispatcher, ProxyAgent, request } from 'undici';
import type { Clock } from '../../lib/clock.ts';
import { proxyFor } from '../../lib/net/proxy.ts';
import { parseRetryAfter } from '../../lib/net/retry-after.ts';
import { readTls, type TlsOptions } from '../../lib/net/tls.ts';
import { transportFailure } from '../../lib/net/transport-failure.ts';
import type { Alert } from './alert.ts';
import {
  ACCEPTED,
  type AlertRequest,
  type AlertResponse,
  type AlertService,
  type AlertVerdict,
  LIMITED,
  REFUSED,
  type ServiceSettings,
} from './alert-service.ts';
import type { AlertType } from './alert-types.ts';
import { dingtalk } from './services/dingtalk.ts';
import { sendMail } from './services/email.ts';
import { feishu } from './services/feishu.ts';
import { matrix } from './services/matrix.ts';
import { pagerduty } from './services/pagerduty.ts';
import { slack } from './services/slack.ts';
import { teams } from './services/teams.ts';
import { webhook } from './services/webhook.ts';
import { wecom } from './services/wecom.ts';

const SERVICES: Readonly<Record<Exclude<AlertType, 'email'>, AlertService>> = {
  feishu,
  matrix,
  slack,
  wecom,
  dingtalk,
  teams,
  pagerduty,
  webhook,
};

/** What came back from one try. */
interface AlertResult {
  readonly verdict: AlertVerdict;
  /** `HTTP 200 {"code":0}`, or why there is no response. May contain secrets that the service echoes. */
  readonly words: string;
}

/** A message that can be sent several times: a retry repeats it exactly. */
export interface PreparedMessage {
  readonly alerts: readonly Alert[];
  send(): Promise<AlertResult>;
}

/** A service that does not respond within this time has failed. */
const ATTEMPT_TIMEOUT_MS = 10_000;
/** Of a response; what is longer is no message of these services. */
const MAX_RESPONSE_CHARS = 2_000;

/** Sends alerts to one service, each try once. Opens nothing before the first message. */
export class AlertSender {
  readonly #type: AlertType;
  readonly #settings: ServiceSettings;
  readonly #clock: Clock;
  readonly #tls: TlsOptions;
  #dispatcher: Dispatcher | null = null;

  /** Throws the errors of the file system when a file of `tls` cannot be read. */
  constructor(type: AlertType, settings: ServiceSettings, clock: Clock) {
    this.#type = type;
    this.#settings = settings;
    this.#clock = clock;
    this.#tls = readTls(settings.tls ?? undefined);
  }

  /** The messages for these alerts: one for all, or one for each where the service keeps them apart. */
  prepare(alerts: readonly Alert[]): PreparedMessage[] {
    if (this.#type === 'email') return [this.#mail(alerts)];
    const service = SERVICES[this.#type];
    const groups = service.isGrouping ? [alerts] : alerts.map((alert) => [alert]);
    return groups.map((group) => this.#post(service, group));
  }

  async close(): Promise<void> {
    await this.#dispatcher?.destroy();
  }

  #mail(alerts: readonly Alert[]): PreparedMessage {
    const options = { tls: this.#tls, timeoutMs: ATTEMPT_TIMEOUT_MS };
    return { alerts, send: () => sendMail(alerts, this.#settings, options) };
  }

  #post(service: AlertService, alerts: readonly Alert[]): PreparedMessage {
    const prepared = service.request(alerts, this.#settings, this.#clock.wallMs());
    return { alerts, send: () => this.#call(service, prepared) };
  }

  async #call(service: AlertService, { method, url, headers, body }: AlertRequest): Promise<AlertResult> {
    const timeout = new AbortController();
    const timer = this.#clock.schedule(() => timeout.abort(), ATTEMPT_TIMEOUT_MS);
    try {
      this.#dispatcher ??= makeDispatcher(url, this.#settings, this.#tls);
      const response = await request(url, {
        dispatcher: this.#dispatcher,
        method,
        headers: { 'user-agent': 'tokenferry', ...headers, ...plain(this.#settings.headers) },
        body,
        signal: timeout.signal,
      });
      const text = await response.body.text();
      const received = { status: response.statusCode, headers: response.headers, body: text };
      return { verdict: this.#judge(service, received), words: describeResponse(received) };
    } catch (error) {
      if (timeout.signal.aborted) return { verdict: LIMITED, words: 'no response within 10 s' };
      const { text, stage } = transportFailure(error, this.#settings.proxy !== null);
      return { verdict: stage === 'settings' ? REFUSED : LIMITED, words: text };
    } finally {
      timer.cancel();
    }
  }

  #judge(service: AlertService, response: AlertResponse): AlertVerdict {
    const { status, headers } = response;
    if (status >= 200 && status < 300) return service.verdict?.(response) ?? ACCEPTED;
    if (status !== 429 && status !== 408 && status < 500) return REFUSED;
    const retryAfter = headers['retry-after'];
    const retryAfterMs = parseRetryAfter(
      Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
      this.#clock.wallMs(),
    );
    return { ...LIMITED, retryAfterMs };
  }
}

function makeDispatcher(url: string, { proxy }: ServiceSettings, tls: TlsOptions): Dispatcher {
  const found = proxy === null ? null : proxyFor(url, proxy, process.env);
  const options = { connections: 1, connect: { ...tls, timeout: ATTEMPT_TIMEOUT_MS } };
  return found === null ? new Agent(options) : new ProxyAgent({ ...options, uri: found, requestTls: tls });
}

function plain(headers: ServiceSettings['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name.toLowerCase(),
      typeof value === 'string' ? value : value.reveal(),
    ]),
  );
}

function describeResponse({ status, body }: AlertResponse): string {
  const text = body.slice(0, MAX_RESPONSE_CHARS).replace(/\s+/g, ' ').trim();
  return text === '' ? `HTTP ${status}` : `HTTP ${status} ${text}`;
}
