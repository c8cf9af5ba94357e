import type { ChannelConfig } from '../config/config.ts';
import type { Clock } from '../lib/clock.ts';
import { settingsKey } from '../lib/settings-key.ts';
import { type Alert, testAlert } from '../observability/alerts/alert.ts';
import { AlertChannel, type AlertOutcome } from '../observability/alerts/alert-channel.ts';
import { AlertSender } from '../observability/alerts/alert-sender.ts';
import type { ServiceSettings } from '../observability/alerts/alert-service.ts';
import { alertText } from '../observability/alerts/alert-text.ts';
import type { SharedAlerts } from '../observability/alerts/shared-alerts.ts';
import { Template, TemplateError } from '../tokens/template/template.ts';

/** Takes what became of each alert. */
export type OnAlertOutcome = (
  channel: AlertChannel,
  alert: Alert,
  outcome: AlertOutcome,
  words: string,
) => void;

/** The state of alerts that replicas share, with the key of the settings that it was made from. */
export interface AlertSharing {
  readonly key: string;
  readonly alerts: SharedAlerts;
}

/** A channel with the key of the settings that it was built from. */
export interface BuiltChannel {
  readonly key: string;
  readonly channel: AlertChannel;
}

/** Builds each channel of `notify`; those of `running` with the same settings are taken over with their state. Throws when one cannot work. */
export function buildChannels(
  notify: readonly ChannelConfig[],
  running: readonly BuiltChannel[],
  {
    clock,
    sharing,
    onOutcome,
  }: { readonly clock: Clock; readonly sharing: AlertSharing | null; readonly onOutcome: OnAlertOutcome },
): BuiltChannel[] {
  return notify.map((config, index) => {
    const settingsOfChannel = settingsKey(config);
    const key = sharing === null ? settingsOfChannel : `${settingsOfChannel} ${sharing.key}`;
    const known = running.find((one) => one.key === key);
    if (known !== undefined) return known;
    const settings = {
      name: config.name,
      type: config.type,
      events: new Set(config.events),
      everyMs: config.every,
    };
    const sender = buildSender(config, `notify[${index}]`, clock);
    const shared = sharing === null ? null : { alerts: sharing.alerts, key: settingsOfChannel };
    return { key, channel: new AlertChannel(settings, { sender, clock, sharing: shared, onOutcome }) };
  });
}

/** The sender of one channel. `place` begins the messages of its errors. */
export function buildSender(config: ChannelConfig, place: string, clock: Clock): AlertSender {
  const { url, secret, room, token, key, from, to, headers, tls, proxy } = config;
  const render = renderer(config.template, place);
  const settings: ServiceSettings = { url, secret, room, token, key, from, to, headers, tls, proxy, render };
  return new AlertSender(config.type, settings, clock);
}

/** Sends the test message of one channel; what the service responded, a line for each message. */
export async function sendTestAlert(
  config: ChannelConfig,
  hostname: string,
  clock: Clock,
): Promise<readonly { readonly isAccepted: boolean; readonly words: string }[]> {
  const sender = buildSender(config, `notify "${config.name}"`, clock);
  try {
    const results = [];
    for (const message of sender.prepare([testAlert(hostname, clock.wallMs())])) {
      const { verdict, words } = await message.send();
      results.push({ isAccepted: verdict.isAccepted, words });
    }
    return results;
  } finally {
    await sender.close();
  }
}

/** The names of a template: facts of an alert as text; what is unknown is empty. */
const NAMES: Readonly<Record<string, (alert: Alert) => string>> = {
  title: ({ title }) => title,
  text: alertText,
  event: ({ event }) => event,
  state: ({ isResolved }) => (isResolved ? 'resolved' : 'firing'),
  severity: ({ severity }) => severity,
  subject: ({ subject }) => subject,
  tried: ({ tried }) => tried ?? '',
  serving: ({ serving }) => serving ?? '',
  command: ({ command }) => command ?? '',
  since: ({ sinceMs }) => new Date(sinceMs).toISOString(),
  time: ({ atMs }) => new Date(atMs).toISOString(),
  reports: ({ reports }) => String(reports),
  hostname: ({ hostname }) => hostname,
};

function renderer(template: string | null, place: string): ((alert: Alert) => string) | null {
  if (template === null) return null;
  const compiled = compile(template, place);
  return (alert) => compiled.renderText({ valueOf: (name) => NAMES[name]?.(alert) ?? '' });
}

function compile(template: string, place: string): Template {
  try {
    const compiled = Template.compile(template);
    const unknown = [...compiled.names].find((name) => !Object.hasOwn(NAMES, name));
    if (unknown === undefined) return compiled;
    throw new TemplateError(`unknown name ${unknown}; known are ${Object.keys(NAMES).join(', ')}`);
  } catch (error) {
    throw new Error(`${place}.template: ${(error as Error).message}`);
  }
}
