import { createHmac, randomUUID } from 'node:crypto';
import type { Alert } from '../alert.ts';
import type { AlertRequest, AlertService } from '../alert-service.ts';
import { alertText } from '../alert-text.ts';

/**
 * Any receiver of JSON. `template` is the whole body; `secret` signs it as Standard Webhooks do (standardwebhooks.com,
 * version 1.0.0): `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,BASE64`.
 */
export const webhook: AlertService = {
  isGrouping: false,
  request([alert], settings, nowMs) {
    if (alert === undefined) throw new Error('an alert is required');
    const body = settings.render === null ? JSON.stringify(bodyOf(alert)) : settings.render(alert);
    const post: AlertRequest = {
      method: 'POST',
      url: settings.url?.reveal() ?? '',
      headers: {
        'content-type': isJson(body) ? 'application/json; charset=utf-8' : 'text/plain; charset=utf-8',
      },
      body,
    };
    const { secret } = settings;
    if (secret === null) return post;
    const id = `msg_${randomUUID()}`;
    const timestamp = String(Math.floor(nowMs / 1_000));
    const signature = createHmac('sha256', keyOf(secret.reveal()))
      .update(`${id}.${timestamp}.${body}`)
      .digest('base64');
    return {
      ...post,
      headers: {
        ...post.headers,
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signature}`,
      },
    };
  },
};

/** `whsec_` and the key in base64, or any other text. */
function keyOf(secret: string): Buffer {
  return secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : Buffer.from(secret);
}

function bodyOf(alert: Alert): object {
  return {
    event: alert.event,
    state: alert.isResolved ? 'resolved' : 'firing',
    severity: alert.severity,
    subject: alert.subject,
    title: alert.title,
    tried: alert.tried,
    serving: alert.serving,
    command: alert.command,
    since: new Date(alert.sinceMs).toISOString(),
    time: new Date(alert.atMs).toISOString(),
    reports: alert.reports,
    hostname: alert.hostname,
    text: alertText(alert),
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
