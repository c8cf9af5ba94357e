import type { Alert } from '../alert.ts';
import { ACCEPTED, type AlertService, jsonPost, LIMITED } from '../alert-service.ts';
import { alertFacts, alertTitle, cutBytes } from '../alert-text.ts';

/** A message may have 28 KB. */
const MAX_TEXT_BYTES = 4_000;
const MAX_ALERTS = 5;

/** Microsoft Teams: a webhook of Workflows (learn.microsoft.com, "Create incoming webhooks with Workflows"), as an Adaptive Card. */
export const teams: AlertService = {
  isGrouping: true,
  request(alerts, settings) {
    const shown = alerts.slice(0, MAX_ALERTS);
    const rest = alerts.length - shown.length;
    const body = shown.flatMap((alert) => blocksOf(alert, settings.render));
    if (rest > 0) body.push(textBlock(`… and ${rest} more`, {}));
    const content = {
      $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
      type: 'AdaptiveCard',
      version: '1.4',
      msteams: { width: 'Full' },
      body,
    };
    return jsonPost(settings, {
      type: 'message',
      attachments: [{ contentType: 'application/vnd.microsoft.card.adaptive', contentUrl: null, content }],
    });
  },
  verdict({ body }) {
    // The older connectors report failures, limits among them, in the text of a 200.
    return /delivery failed|HTTP error/i.test(body) ? LIMITED : ACCEPTED;
  },
};

function blocksOf(alert: Alert, render: ((alert: Alert) => string) | null): object[] {
  if (render !== null) return [textBlock(cutBytes(render(alert), MAX_TEXT_BYTES), {})];
  const color = alert.isResolved ? 'Good' : alert.severity === 'info' ? 'Accent' : 'Attention';
  return [
    textBlock(cutBytes(alertTitle(alert), MAX_TEXT_BYTES), { weight: 'Bolder', color }),
    {
      type: 'FactSet',
      facts: alertFacts(alert).map(([title, value]) => ({ title, value: cutBytes(value, 1_000) })),
    },
  ];
}

function textBlock(text: string, look: object): object {
  return { type: 'TextBlock', text, wrap: true, ...look };
}
