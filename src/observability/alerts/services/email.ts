import { fixedProxy } from '../../../lib/net/proxy.ts';
import type { TlsOptions } from '../../../lib/net/tls.ts';
import type { Alert } from '../alert.ts';
import { ACCEPTED, type AlertVerdict, LIMITED, REFUSED, type ServiceSettings } from '../alert-service.ts';
import { alertText, alertTexts, alertTitle } from '../alert-text.ts';

interface MailResult {
  readonly verdict: AlertVerdict;
  /** The last words of the server, or why there are none. */
  readonly words: string;
}

interface MailOptions {
  readonly tls: TlsOptions;
  readonly timeoutMs: number;
}

/**
 * Sends one message through the SMTP server of `url`: `smtp://` (STARTTLS when the server offers it) or `smtps://`, user
 * and password in the URL.
 */
export async function sendMail(
  alerts: readonly Alert[],
  settings: ServiceSettings,
  { tls, timeoutMs }: MailOptions,
): Promise<MailResult> {
  // Loaded when it is needed: few configurations send mail.
  const { createTransport } = await import('nodemailer');
  const url = new URL(settings.url?.reveal() ?? '');
  const proxy = fixedProxy(settings.proxy ?? undefined);
  const transport = createTransport({
    host: url.hostname.replace(/^\[|\]$/g, ''),
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    secure: url.protocol === 'smtps:',
    ...(url.username === ''
      ? {}
      : { auth: { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) } }),
    tls,
    ...(proxy === null ? {} : { proxy }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
  });
  const [first] = alerts;
  const more = alerts.length > 1 ? ` (and ${alerts.length - 1} more)` : '';
  try {
    const sent = await transport.sendMail({
      from: settings.from ?? '',
      to: [...settings.to],
      subject: `${first === undefined ? '[tokenferry]' : alertTitle(first)}${more}`,
      text: alertTexts(alerts, settings.render ?? alertText),
    });
    return { verdict: ACCEPTED, words: sent.response };
  } catch (error) {
    const { response, responseCode, code } = error as {
      response?: string;
      responseCode?: number;
      code?: string;
    };
    // 5yz is final (RFC 5321, 4.2.1), and so are refused credentials.
    const isFinal = (responseCode ?? 0) >= 500 || code === 'EAUTH' || code === 'EENVELOPE';
    return { verdict: isFinal ? REFUSED : LIMITED, words: response ?? code ?? 'no response' };
  } finally {
    transport.close();
  }
}
