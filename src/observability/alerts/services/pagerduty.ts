import { Secret } from '../../../lib/secret.ts';
import { type AlertService, jsonPost } from '../alert-service.ts';
import { alertFacts, alertTitle, cutBytes } from '../alert-text.ts';

const EVENTS_URL = new Secret('https://events.pagerduty.com/v2/enqueue');
/** Characters of `summary`. */
const MAX_SUMMARY = 1_024;
const MAX_DEDUP_KEY = 255;

/** PagerDuty: Events API v2 (developer.pagerduty.com, "Send an Alert Event"). A recovery resolves the incident of its problem. */
export const pagerduty: AlertService = {
  isGrouping: false,
  request([alert], settings) {
    if (alert === undefined) throw new Error('an alert is required');
    const summary = settings.render === null ? alertTitle(alert) : settings.render(alert);
    return jsonPost(
      { ...settings, url: settings.url ?? EVENTS_URL },
      {
        routing_key: settings.key?.reveal(),
        event_action: alert.isResolved ? 'resolve' : 'trigger',
        dedup_key: `tokenferry/${alert.hostname}/${alert.kind}/${alert.subject}`.slice(0, MAX_DEDUP_KEY),
        payload: {
          summary: cutBytes(summary, MAX_SUMMARY),
          source: alert.hostname,
          severity: alert.severity,
          timestamp: new Date(alert.sinceMs).toISOString(),
          component: alert.subject || 'tokenferry',
          group: 'tokenferry',
          class: alert.kind,
          custom_details: Object.fromEntries(alertFacts(alert)),
        },
        client: 'tokenferry',
      },
    );
  },
};
