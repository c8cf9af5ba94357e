import type { ErrorKind } from '../../../src/lib/errors/error-table.ts';
import { language } from './language.ts';

/** How an attempt or a request failed, by its kind: English, Chinese. */
const FAILURES: Readonly<Record<ErrorKind | 'stream_broken', readonly [string, string]>> = {
  invalid_json: ['the body is not JSON', '请求体不是 JSON'],
  invalid_request: ['invalid request', '请求无效'],
  missing_model: ['no model is named', '没有指定模型'],
  body_too_large: ['the body is too large', '请求体过大'],
  unsupported_encoding: ['unsupported content-encoding', '不支持的 content-encoding'],
  headers_too_large: ['the headers are too large', '请求头过大'],
  request_timeout: ['the request was not sent to its end', '请求没有发送完整'],
  unknown_path: ['unknown path', '未知路径'],
  method_not_allowed: ['method not allowed', '不允许的方法'],
  upgrade_not_supported: ['upgrades are not supported', '不支持协议升级'],
  unsupported_endpoint: ['not supported here', '此处不支持'],
  invalid_api_key: ['invalid client key', '客户端密钥无效'],
  not_permitted: ['not permitted for this client', '此客户端无权使用'],
  client_rate_limited: ["over the client's limit", '超过客户端的限额'],
  overloaded: ['the gateway is overloaded', '网关过载'],
  shutting_down: ['the gateway was shutting down', '网关正在关闭'],
  client_gone: ['the client disconnected', '客户端断开了连接'],
  internal: ['internal error of the gateway', '网关内部错误'],
  model_not_found: ['no such model', '没有这个模型'],
  upstream_misconfigured: ['the upstream is not configured completely', '上游配置不完整'],
  upstream_paused: ['the upstream is paused', '上游已暂停'],
  token_unavailable: ['no usable token', '没有可用的令牌'],
  unreachable: ['unreachable', '无法连接'],
  timeout: ['timed out', '超时'],
  queue_full: ['the queue is full', '队列已满'],
  retryable_status: ['temporary error', '暂时性错误'],
  rate_limited: ['rate limited', '被限流'],
  quota_exhausted: ['quota exhausted', '额度用尽'],
  auth_rejected: ['credentials rejected', '凭证被拒绝'],
  auth_passed_through: ["the client's credentials were rejected", '客户端的凭证被拒绝'],
  forbidden: ['forbidden', '禁止访问'],
  path_not_found: ['no such path', '没有这个路径'],
  client_fault: ['refused the request', '请求被上游拒绝'],
  context_overflow: ['too long for the model', '超过模型的上下文长度'],
  content_filtered: ['content filtered', '内容被过滤'],
  invalid_response: ['invalid response', '响应无效'],
  mismatch: ['another number of vectors than texts', '向量数量与文本数量不一致'],
  redirect: ['redirect to another server', '重定向到其他服务器'],
  disconnected: ['the response was cut off', '响应中断'],
  generation_failed: ['the model aborted', '模型中止了生成'],
  stream_broken: ['cut off after content was sent', '已发送内容后中断'],
};

/** Codes of error responses that are not the name of a kind. */
const KINDS_OF_CODES: Readonly<Record<string, keyof typeof FAILURES>> = {
  unsupported_content_encoding: 'unsupported_encoding',
  request_incomplete: 'request_timeout',
  rate_limit_exceeded: 'rate_limited',
  internal_error: 'internal',
  upstream_auth_unavailable: 'token_unavailable',
  upstream_unreachable: 'unreachable',
  upstream_timeout: 'timeout',
  upstream_error: 'retryable_status',
  insufficient_quota: 'quota_exhausted',
  upstream_auth_error: 'auth_rejected',
  upstream_not_found: 'path_not_found',
  context_length_exceeded: 'context_overflow',
  content_filter: 'content_filtered',
  upstream_invalid_response: 'invalid_response',
  upstream_mismatch: 'mismatch',
  upstream_redirect: 'redirect',
  upstream_disconnected: 'disconnected',
  upstream_generation_failed: 'generation_failed',
};

/** The kind of an attempt's failure, or the code of an error response, in words; null: it has none. */
export function failureText(code: string | null): string | null {
  if (code === null) return null;
  const kind = Object.hasOwn(KINDS_OF_CODES, code) ? KINDS_OF_CODES[code] : code;
  if (kind === undefined || !Object.hasOwn(FAILURES, kind)) return null;
  const [english, chinese] = FAILURES[kind as keyof typeof FAILURES];
  return language.value === 'en' ? english : chinese;
}
