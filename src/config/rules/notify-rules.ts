import { fixedProxy } from '../../lib/net/proxy.ts';
import type { AlertType } from '../../observability/alerts/alert-types.ts';
import type { ChannelConfig } from '../config.ts';
import { duplicates, fault, type Rule, type RuleFinding } from './rule.ts';
import { headerFindings } from './upstream-rules.ts';

/** The keys that have a meaning for some types only. */
const OPTIONAL_KEYS = ['url', 'secret', 'room', 'token', 'key', 'from', 'to', 'headers'] as const;

type OptionalKey = (typeof OPTIONAL_KEYS)[number];

interface TypeRules {
  readonly required: readonly OptionalKey[];
  readonly allowed: readonly OptionalKey[];
}

const BY_URL: TypeRules = { required: ['url'], allowed: ['headers'] };
const SIGNED_BY_URL: TypeRules = { required: ['url'], allowed: ['secret', 'headers'] };

const KEYS_OF_TYPE: Readonly<Record<AlertType, TypeRules>> = {
  feishu: SIGNED_BY_URL,
  dingtalk: SIGNED_BY_URL,
  webhook: SIGNED_BY_URL,
  slack: BY_URL,
  wecom: BY_URL,
  teams: BY_URL,
  matrix: { required: ['url'], allowed: ['room', 'token', 'headers'] },
  pagerduty: { required: ['key'], allowed: ['url', 'headers'] },
  email: { required: ['url', 'from', 'to'], allowed: [] },
};

/** Each channel has what its type needs, and nothing that its type would ignore. */
export const channelsAreComplete: Rule = ({ config, isIncomplete }) =>
  config.notify.flatMap((channel, index): RuleFinding[] => {
    const path = ['notify', index];
    if (isIncomplete(...path)) return [];
    const { type } = channel;
    const { required, allowed } = KEYS_OF_TYPE[type];
    const findings = OPTIONAL_KEYS.flatMap((key): RuleFinding[] => {
      if (required.includes(key))
        return isSet(channel, key) ? [] : [fault([...path, key], `is required for type ${type}`)];
      if (allowed.includes(key) || !isSet(channel, key)) return [];
      return [fault([...path, key], `has no meaning for type ${type}; remove it`)];
    });
    return [
      ...findings,
      ...schemeFindings(channel, path),
      ...roomFindings(channel, path),
      ...mailProxyFindings(channel, path),
      ...headerFindings(channel.headers, [...path, 'headers']),
    ];
  });

export const channelNames: Rule = ({ config }) => duplicates(config.notify, 'notify', 'the alert channel');

function isSet(channel: ChannelConfig, key: OptionalKey): boolean {
  const value = channel[key];
  if (value === null) return false;
  return Array.isArray(value) ? value.length > 0 : key !== 'headers' || Object.keys(value).length > 0;
}

function schemeFindings({ type, url }: ChannelConfig, path: readonly (string | number)[]): RuleFinding[] {
  if (url === null) return [];
  const isMail = /^smtps?:/i.test(url.reveal());
  if (isMail === (type === 'email')) return [];
  const wanted = type === 'email' ? 'smtp:// or smtps://' : 'http:// or https://';
  return [fault([...path, 'url'], `must be a URL that starts with ${wanted} for type ${type}`)];
}

/** Matrix' client API needs both. */
function roomFindings({ room, token }: ChannelConfig, path: readonly (string | number)[]): RuleFinding[] {
  if ((room === null) === (token === null)) return [];
  return room === null
    ? [fault([...path, 'token'], 'needs room: the room that the messages are sent to')]
    : [fault([...path, 'room'], 'needs token: the access token of the account that sends')];
}

/** No variable of the environment is for SMTP. */
function mailProxyFindings(
  { type, proxy }: ChannelConfig,
  path: readonly (string | number)[],
): RuleFinding[] {
  if (type !== 'email' || proxy === null || fixedProxy(proxy) !== null) return [];
  return [
    fault([...path, 'proxy'], 'must be the URL of an HTTP proxy for type email: HTTPS_PROXY is not for mail'),
  ];
}
