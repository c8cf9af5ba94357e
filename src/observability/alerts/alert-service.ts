import type { TlsSettings } from '../../lib/net/tls.ts';
import type { Secret } from '../../lib/secret.ts';
import type { Alert } from './alert.ts';

/** Where one channel sends to, and with which credentials. */
export interface ServiceSettings {
  readonly url: Secret | null;
  /** Signs the message (feishu, dingtalk, webhook). */
  readonly secret: Secret | null;
  /** Of Matrix' client API. */
  readonly room: string | null;
  readonly token: Secret | null;
  /** The integration key of PagerDuty. */
  readonly key: Secret | null;
  readonly from: string | null;
  readonly to: readonly string[];
  readonly headers: Readonly<Record<string, string | Secret>>;
  readonly tls: TlsSettings | null;
  readonly proxy: Secret | null;
  /** The text of the message in place of the built-in one; of `webhook` the whole body. Null: built in. */
  readonly render: ((alert: Alert) => string) | null;
}

/** A message for a service that is called by HTTP. */
export interface AlertRequest {
  readonly method: 'POST' | 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** What a service responded. */
export interface AlertResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** What became of one try. */
export interface AlertVerdict {
  readonly isAccepted: boolean;
  /** False: the same message would be refused again. */
  readonly isRetryable: boolean;
  /** What the service asks to wait, in milliseconds. */
  readonly retryAfterMs?: number | undefined;
}

/** One kind of service: its payload, its signature and the meaning of its responses, as its documentation states them. */
export interface AlertService {
  /** False: it gets each alert in a request of its own. */
  readonly isGrouping: boolean;
  request(alerts: readonly Alert[], settings: ServiceSettings, nowMs: number): AlertRequest;
  /** The verdict on a response with a 2xx status; other statuses mean the same everywhere. */
  verdict?(response: AlertResponse): AlertVerdict;
}

export const ACCEPTED: AlertVerdict = { isAccepted: true, isRetryable: false };
export const REFUSED: AlertVerdict = { isAccepted: false, isRetryable: false };
export const LIMITED: AlertVerdict = { isAccepted: false, isRetryable: true };

/** A JSON request to the channel's URL. */
export function jsonPost({ url }: ServiceSettings, body: unknown): AlertRequest {
  return {
    method: 'POST',
    url: url?.reveal() ?? '',
    headers: { 'content-type': 'application/json; charset=utf-8' },
    body: JSON.stringify(body),
  };
}

/** The number that a service puts into the body of a 200 to say whether it accepted the message; undefined: none. */
export function codeIn({ body }: AlertResponse, ...names: readonly string[]): number | undefined {
  try {
    const parsed = JSON.parse(body) as Record<string, unknown> | null;
    const found = names.map((name) => parsed?.[name]).find((value) => typeof value === 'number');
    return found as number | undefined;
  } catch {
    return undefined;
  }
}
