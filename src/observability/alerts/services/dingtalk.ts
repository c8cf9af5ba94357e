import { createHmac } from 'node:crypto';
import { ACCEPTED, type AlertService, codeIn, jsonPost, LIMITED, REFUSED } from '../alert-service.ts';
import { alertText, alertTexts, cutBytes } from '../alert-text.ts';

const MAX_TEXT_BYTES = 18_000;
/** 20 messages a minute; more block the robot for ten minutes. -1: the system is busy. */
const LIMIT_CODES = new Set([130101, 410100, -1]);

/** DingTalk: a custom robot of a group (open.dingtalk.com, "Custom robot access", 2024). */
export const dingtalk: AlertService = {
  isGrouping: true,
  request(alerts, settings, nowMs) {
    const content = cutBytes(alertTexts(alerts, settings.render ?? alertText), MAX_TEXT_BYTES);
    const post = jsonPost(settings, { msgtype: 'text', text: { content } });
    const { secret } = settings;
    return secret === null ? post : { ...post, url: signedUrl(post.url, secret.reveal(), nowMs) };
  },
  verdict(response) {
    const code = codeIn(response, 'errcode');
    if (code === 0) return ACCEPTED;
    return code !== undefined && LIMIT_CODES.has(code) ? LIMITED : REFUSED;
  },
};

function signedUrl(url: string, secret: string, nowMs: number): string {
  const timestamp = String(Math.floor(nowMs));
  const sign = createHmac('sha256', secret).update(`${timestamp}\n${secret}`).digest('base64');
  const signed = new URL(url);
  signed.searchParams.set('timestamp', timestamp);
  signed.searchParams.set('sign', sign);
  return signed.href;
}
