/** `notify[].type`. */
export const ALERT_TYPES = [
  'feishu',
  'matrix',
  'slack',
  'wecom',
  'dingtalk',
  'teams',
  'pagerduty',
  'webhook',
  'email',
] as const;

export type AlertType = (typeof ALERT_TYPES)[number];
