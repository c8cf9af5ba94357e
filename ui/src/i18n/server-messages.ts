import type {
  AdminRequest,
  AdminTokenEvent,
  AdminUpstream,
  AdviceCode,
  Degradation,
  DegradationCode,
  MessageFacts,
  ReloadState,
} from '../../../src/admin/api-types.ts';
import { formatDuration, formatNumber } from '../lib/format.ts';
import { failureText } from './failures.ts';
import { language } from './language.ts';
import { zhRepairs } from './zh-repairs.ts';

/** The gateway's messages are English sentences; in Chinese they are made again from their codes and facts. */
function isEnglish(): boolean {
  return language.value === 'en';
}

type Sentence = (facts: MessageFacts) => string;

const number = (value: string | number | undefined): string => formatNumber(Number(value ?? 0));
const time = (value: string | number | undefined): string => formatDuration(Number(value ?? 0));
/** Words of an issuer or upstream stay as they are. */
const because = ({ error }: MessageFacts): string => (error === undefined ? '' : `：${error}`);

function consequence({ uncallable }: MessageFacts): string {
  if (uncallable === undefined) return '';
  return uncallable === '*'
    ? '；没有可以调用的上游，所有请求都会失败'
    : `；没有它，上游 ${uncallable} 无法调用`;
}

const DEGRADATIONS: Readonly<Record<DegradationCode, Sentence>> = {
  token_not_obtained: (facts) => `还没有取得令牌${consequence(facts)}`,
  token_missing: (facts) =>
    `没有令牌，已失败 ${number(facts.failures)} 次${because(facts)}${consequence(facts)}`,
  token_rejected: (facts) => `被上游拒绝，正在续期${consequence(facts)}`,
  token_renewal_fails: (facts) =>
    `签发方已失败 ${number(facts.failures)} 次，当前令牌还有 ${time(facts.remaining_ms)} 有效${because(facts)}`,
  token_rejected_early: (facts) =>
    `有 ${number(facts.rejections)} 个有效令牌远早于到期时间被拒绝：是否有其他客户端使用同一凭证，或签发方提前吊销？`,
  token_new_rejected: () => '上游连新令牌也拒绝',
  upstream_paused: () => '已由管理员暂停',
  upstream_cooling: (facts) => {
    const kind = typeof facts.kind === 'string' ? failureText(facts.kind) : null;
    return `连续失败 ${number(facts.failures)} 次，冷却中${kind === null ? '' : `（${kind}）`}`;
  },
  upstream_without_endpoint: () => '已跳过：没有配置地址（endpoint）',
  upstream_without_credentials: () => '已跳过：没有凭证。请设置 token 或 sk；不需要凭证时写 token: none',
  configuration_invalid: () => '修改后的配置文件有错误，没有启用',
  request_log_unavailable: (facts) => `请求日志无法写入${because(facts)}`,
  embeddings_cache_unusable: (facts) => `嵌入缓存不可用${because(facts)}`,
};

const ADVICE: Readonly<Record<AdviceCode, string>> = {
  correct_credentials: '请在配置中更正其凭证，然后续期。',
  check_scope: '请检查凭证的 scope 和 audience，以及是否有其他客户端在使用它们。',
  check_issuer: '会自动重试。请检查签发方是否正常；tokenferry token 会显示每一步。',
  resume: '需要它再次接收请求时，请恢复它。',
  probe: '会自动重试。最近的错误说明了原因；“探测”可以马上看到它是否恢复。',
  complete_configuration: '请在配置中补全；文件改变后会自动重新加载。',
  correct_configuration: '请更正文件：tokenferry check 会列出所有问题。之前的配置继续使用。',
  repair_cache_file:
    '请求照常处理，但不使用缓存。请修复或移走 embeddings_cache.path 指向的文件；每分钟会重新尝试。',
  restore_database: '请求照常处理。请恢复 dbaddr 指向的数据库。',
};

const PARTS: Readonly<Record<Degradation['part'], string>> = {
  token: '令牌',
  upstream: '上游',
  configuration: '配置',
  request_log: '请求日志',
  embeddings_cache: '嵌入缓存',
};

/** What does not work, in the language of the page. */
export function degradationText({ part, name, code, facts, message }: Degradation): string {
  const sentence = isEnglish() ? undefined : DEGRADATIONS[code];
  if (sentence === undefined) return message;
  return `${PARTS[part]}${name === null ? '' : ` ${name}`}：${sentence(facts)}`;
}

/** What to do about it, in the language of the page. */
export function adviceText({ advice_code, advice }: Degradation): string {
  return isEnglish() ? advice : (ADVICE[advice_code] ?? advice);
}

/** The state of an upstream in words. */
export function upstreamStateText(upstream: AdminUpstream): string {
  const { state, failures_in_row: failures, cooling_ms: coolingMs, endpoint, defect } = upstream;
  if (isEnglish()) return defect ?? upstream.description;
  switch (state) {
    case 'skipped':
      return DEGRADATIONS[endpoint === null ? 'upstream_without_endpoint' : 'upstream_without_credentials'](
        {},
      );
    case 'paused':
      return '已由管理员暂停：恢复之前不会收到请求';
    case 'cooling':
      return coolingMs === 0
        ? `连续失败 ${number(failures)} 次：下一个请求会再试`
        : `连续失败 ${number(failures)} 次：还要冷却 ${time(coolingMs)}`;
    case 'probing':
      return '正用一个请求试探它是否恢复';
    case 'up':
      return failures === 0 ? '正常服务' : `正常服务；最近 ${number(failures)} 次尝试失败`;
  }
}

/** An error of an upstream: in Chinese its kind, with the upstream's own words behind it. */
export function upstreamErrorText({
  kind,
  message,
}: {
  readonly kind: string;
  readonly message: string;
}): string {
  const words = isEnglish() ? null : failureText(kind);
  return words === null ? message : `${words}（${message}）`;
}

/** Why a request failed: in Chinese its code, with the sentence that the client got behind it. */
export function requestErrorText({
  error_code,
  error_message,
}: Pick<AdminRequest, 'error_code' | 'error_message'>): string {
  const words = isEnglish() ? null : failureText(error_code);
  if (error_message === null) return words ?? error_code ?? '';
  return words === null ? error_message : `${words}：${error_message}`;
}

const REASONS: Readonly<Record<string, string>> = {
  start: '启动',
  demand: '有请求',
  renewal: '按计划',
  rejected: '被拒绝',
  manual: '手动',
};

const REJECTIONS: Readonly<Record<string, string>> = {
  superseded: '已有更新的令牌',
  joined: '正在续期',
  renewing: '立即续期',
  denied: '暂不再次续期',
};

/** What happened to a token source, in words. */
export function tokenEventText(event: AdminTokenEvent): string {
  const { kind, facts, message } = event;
  if (isEnglish()) return message;
  switch (kind) {
    case 'acquired': {
      const reason = REASONS[event.reason ?? ''] ?? event.reason;
      const life = event.life_ms === null ? '' : `，有效期 ${time(event.life_ms)}`;
      return `新令牌（${reason}），签发耗时 ${time(event.duration_ms ?? 0)}${life}`;
    }
    case 'failed': {
      const left =
        facts.remaining_ms === undefined ? '还没有令牌' : `当前令牌还有 ${time(facts.remaining_ms)} 有效`;
      return `签发方已失败 ${number(facts.failures)} 次（${facts.error ?? ''}），${left}`;
    }
    case 'rejected': {
      const status = facts.status === undefined ? '' : `（${facts.status}）`;
      const early = facts.is_early === 1 ? '，远早于到期时间' : '';
      return `上游拒绝了令牌${status}${early}；${REJECTIONS[String(facts.outcome)] ?? ''}`;
    }
    case 'starving':
      return `没有可用的令牌：签发方已失败 ${number(facts.failures)} 次（${facts.error ?? ''}）`;
    case 'recovered':
      return `签发方已恢复：${time(facts.failed_for_ms)} 内失败 ${number(facts.failures)} 次`;
    case 'breaker_open':
      return `上游连新令牌也拒绝：${time(facts.pause_ms)} 内不再重试`;
    case 'dormant':
      return `${time(facts.idle_ms)} 没有请求：到下次请求再续期`;
    case 'note':
      return message;
  }
}

/** The result of a reload, in words. */
export function reloadText({ is_ok, changed, message }: ReloadState): string {
  if (isEnglish()) return message;
  if (!is_ok) return `继续使用之前的配置。${message.replace(/^[^:]*: /, '')}`;
  return changed.length === 0 ? '没有变化。' : `已更改：${changed.join('、')}。`;
}

/** What a repair of a response corrected. */
export function repairText({
  repair,
  meaning,
}: {
  readonly repair: string;
  readonly meaning: string;
}): string {
  if (isEnglish() || !Object.hasOwn(zhRepairs, repair)) return meaning;
  return zhRepairs[repair as keyof typeof zhRepairs];
}
