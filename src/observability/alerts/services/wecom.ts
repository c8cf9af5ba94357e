import { ACCEPTED, type AlertService, codeIn, jsonPost, LIMITED, REFUSED } from '../alert-service.ts';
import { alertText, alertTexts, cutBytes } from '../alert-text.ts';

/** Maximum of `text.content`, in bytes of UTF-8. */
const MAX_TEXT_BYTES = 2_048;
/** 45009: more than 20 messages a minute. -1: the system is busy. */
const LIMIT_CODES = new Set([45009, -1]);

/** WeCom: a robot of a group (developer.work.weixin.qq.com, document 91770). */
export const wecom: AlertService = {
  isGrouping: true,
  request(alerts, settings) {
    const content = cutBytes(alertTexts(alerts, settings.render ?? alertText), MAX_TEXT_BYTES);
    return jsonPost(settings, { msgtype: 'text', text: { content } });
  },
  verdict(response) {
    const code = codeIn(response, 'errcode');
    if (code === 0) return ACCEPTED;
    return code !== undefined && LIMIT_CODES.has(code) ? LIMITED : REFUSED;
  },
};
