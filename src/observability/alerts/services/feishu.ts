import { createHmac } from 'node:crypto';
import { ACCEPTED, type AlertService, codeIn, jsonPost, LIMITED, REFUSED } from '../alert-service.ts';
import { alertText, alertTexts, cutBytes } from '../alert-text.ts';

/** The body may have 20 KB; the text is escaped within it. */
const MAX_TEXT_BYTES = 12_000;
/** A robot may send 100 messages a minute and 5 a second; 99991400 is the general limit of the platform. */
const LIMIT_CODES = new Set([11232, 99991400]);

/** Feishu and Lark: a custom robot of a group (open.feishu.cn, "Custom bot usage guide", 2024). */
export const feishu: AlertService = {
  isGrouping: true,
  request(alerts, settings, nowMs) {
    const text = cutBytes(alertTexts(alerts, settings.render ?? alertText), MAX_TEXT_BYTES);
    const message = { msg_type: 'text', content: { text } };
    const { secret } = settings;
    if (secret === null) return jsonPost(settings, message);
    const timestamp = String(Math.floor(nowMs / 1_000));
    return jsonPost(settings, { timestamp, sign: feishuSign(timestamp, secret.reveal()), ...message });
  },
  verdict(response) {
    const code = codeIn(response, 'code', 'StatusCode');
    if (code === 0) return ACCEPTED;
    return code !== undefined && LIMIT_CODES.has(code) ? LIMITED : REFUSED;
  },
};

/** The signed text is the key of the HMAC, and the message is empty: other than with DingTalk. */
function feishuSign(timestamp: string, secret: string): string {
  return createHmac('sha256', `${timestamp}\n${secret}`).digest('base64');
}
