import { type AlertService, jsonPost } from '../alert-service.ts';
import { alertText, alertTexts, cutBytes } from '../alert-text.ts';

/** Slack cuts a text at 40,000 characters. */
const MAX_TEXT_BYTES = 39_000;

/** Slack: an incoming webhook (docs.slack.dev, "Sending messages using incoming webhooks"); refusals are 4xx with a word. */
export const slack: AlertService = {
  isGrouping: true,
  request(alerts, settings) {
    const text = alertTexts(alerts, settings.render ?? alertText);
    return jsonPost(settings, { text: cutBytes(escapeSlack(text), MAX_TEXT_BYTES) });
  },
};

/** The three signs that have a meaning in Slack's texts. */
function escapeSlack(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
