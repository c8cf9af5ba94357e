import { MemberEdits, readElements } from './json-members.ts';
import type { Profile } from './profile.ts';
import { isDroppable, renameOfRefused } from './refused-parameter.ts';

export type RequestKind = 'chat' | 'completions' | 'embeddings' | 'rerank';

/** What the adaptation needs to know of a request that was read. */
export interface AdaptableRequest {
  readonly kind: RequestKind;
  /** The client's bytes without a byte order mark. */
  readonly body: Buffer;
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly stream: boolean;
  /** True: the client asked for `stream_options.include_usage` on a stream. */
  readonly includeUsage: boolean;
  readonly hasTools: boolean;
}

export interface Adaptation {
  readonly upstreamModel: string;
  /**
   * `dropParams` names top-level parameters, or members of messages as `messages.reasoning_content`
   * (clients.md 78).
   */
  readonly profile: Pick<Profile, 'dropParams' | 'renameParams' | 'roles' | 'alwaysStream'>;
  /** True: usage is needed even when the client did not ask for it. */
  readonly wantUsage: boolean;
  /** Parameters that this upstream refused lately; `max_tokens` and `max_completion_tokens` are renamed. */
  readonly learnedDrops: readonly string[];
  /** True: ask for a stream whatever the client asked. */
  readonly forceStream: boolean;
}

export interface AdaptedRequest {
  /** The client's own bytes when nothing had to change. */
  readonly body: Buffer;
  /** The client's parameters that are not sent because of the profile or `learnedDrops` (`x-tokenferry-dropped`). */
  readonly dropped: readonly string[];
  /** Whether the upstream is asked for a stream. */
  readonly stream: boolean;
}

/** What must be done to a request, found on the parsed values, before any text is touched. */
interface Plan {
  /** Name → JSON text of the new value. */
  readonly set: Map<string, string>;
  readonly remove: Set<string>;
  readonly rename: Map<string, string>;
  readonly dropped: string[];
  editsMessages: boolean;
}

type Json = Readonly<Record<string, unknown>>;

/** What goes to the upstream: byte for byte the client's, but for the adaptations that product.md promise 5 names. */
export function adaptRequest(request: AdaptableRequest, adaptation: Adaptation): AdaptedRequest {
  const stream = request.stream || (isGeneration(request) && mustStream(adaptation));
  const plan: Plan = {
    set: new Map(),
    remove: new Set(),
    rename: new Map(),
    dropped: [],
    editsMessages: false,
  };
  if (adaptation.upstreamModel !== request.model) {
    plan.set.set('model', JSON.stringify(adaptation.upstreamModel));
  }
  planDrops(plan, request.json, adaptation);
  planRenames(plan, request.json, adaptation);
  planMeaningless(plan, request);
  if (isGeneration(request)) {
    planStream(plan, request, adaptation, stream);
    plan.editsMessages = messagesNeedEdit(request.json.messages, adaptation.profile);
  }
  // Asked for as floats, made base64 here: upstreams do it wrongly or not at all (clients.md 109, 110).
  if (request.kind === 'embeddings' && request.json.encoding_format === 'base64') {
    plan.set.set('encoding_format', '"float"');
  }
  return { body: execute(plan, request, adaptation), dropped: plan.dropped, stream };
}

function isGeneration(request: AdaptableRequest): boolean {
  return request.kind === 'chat' || request.kind === 'completions';
}

function mustStream(adaptation: Adaptation): boolean {
  return adaptation.forceStream || adaptation.profile.alwaysStream;
}

function planDrops(plan: Plan, json: Json, { profile, learnedDrops }: Adaptation): void {
  for (const name of profile.dropParams) drop(plan, json, name);
  for (const name of learnedDrops) {
    if (isDroppable(name)) drop(plan, json, name);
  }
  // Without logprobs the API refuses top_logprobs.
  if (plan.remove.has('logprobs') && Object.hasOwn(json, 'top_logprobs')) drop(plan, json, 'top_logprobs');
}

function drop(plan: Plan, json: Json, name: string): void {
  if (!Object.hasOwn(json, name) || plan.remove.has(name)) return;
  plan.remove.add(name);
  plan.dropped.push(name);
}

function planRenames(plan: Plan, json: Json, { profile, learnedDrops }: Adaptation): void {
  const renames = new Map(Object.entries(profile.renameParams));
  for (const name of learnedDrops) {
    const other = renameOfRefused(name);
    // Refused under both names: it goes out as the client wrote it, and the client gets the upstream's error.
    if (other !== null && !learnedDrops.includes(other) && !renames.has(name)) renames.set(name, other);
  }
  for (const [from, to] of renames) {
    if (from === to || !Object.hasOwn(json, from) || plan.remove.has(from)) continue;
    const isTaken = Object.hasOwn(json, to) && !plan.remove.has(to);
    if (isTaken && from !== 'max_completion_tokens') {
      plan.remove.add(from);
      continue;
    }
    // Of the two limits the newer one wins (clients.md 98).
    if (isTaken) plan.remove.add(to);
    plan.rename.set(from, to);
  }
}

/** Parameters for which the API (OpenAI's specification) knows no null, and strict upstreams refuse one. */
const NEVER_NULL = [
  'tools',
  'tool_choice',
  'functions',
  'function_call',
  'parallel_tool_calls',
  'response_format',
  'user',
  'dimensions',
  'encoding_format',
  'web_search_options',
];

function planMeaningless(plan: Plan, request: AdaptableRequest): void {
  const { json } = request;
  for (const name of NEVER_NULL) if (json[name] === null) plan.remove.add(name);
  if (request.kind !== 'chat') return;
  const hasTools = request.hasTools && !plan.remove.has('tools');
  if (!hasTools && Object.hasOwn(json, 'tool_choice')) plan.remove.add('tool_choice');
}

function planStream(plan: Plan, request: AdaptableRequest, adaptation: Adaptation, stream: boolean): void {
  const { json } = request;
  if (stream && !request.stream) plan.set.set('stream', 'true');
  const hasOptions = Object.hasOwn(json, 'stream_options');
  const isForced = stream && !request.stream;
  if (hasOptions && !request.stream) plan.remove.add('stream_options');
  const isRefused =
    adaptation.learnedDrops.includes('stream_options') ||
    adaptation.profile.dropParams.includes('stream_options');
  if (!stream || isRefused || request.includeUsage || !(adaptation.wantUsage || isForced)) return;
  const options = json.stream_options;
  if (!hasOptions || isForced || typeof options !== 'object' || options === null || Array.isArray(options)) {
    plan.set.set('stream_options', '{"include_usage":true}');
  } else {
    // A changed copy of the client's own object: its other members stay as they are.
    plan.set.set('stream_options', 'merge');
  }
  plan.remove.delete('stream_options');
}

function messagesNeedEdit(messages: unknown, profile: Adaptation['profile']): boolean {
  if (!Array.isArray(messages)) return false;
  const drops = messageDrops(profile);
  return messages.some((message) => messageNeedsEdit(message, profile, drops));
}

function messageDrops(profile: Adaptation['profile']): string[] {
  return profile.dropParams.filter((name) => name.startsWith('messages.')).map((name) => name.slice(9));
}

function messageNeedsEdit(
  message: unknown,
  profile: Adaptation['profile'],
  drops: readonly string[],
): boolean {
  if (typeof message !== 'object' || message === null) return false;
  const { role, tool_calls: calls } = message as { role?: unknown; tool_calls?: unknown };
  if (typeof role === 'string' && Object.hasOwn(profile.roles, role)) return true;
  if (drops.some((name) => Object.hasOwn(message, name))) return true;
  return Array.isArray(calls) && calls.some(hasIndex);
}

/** Clients that replay stream deltas as history leave `index` in their tool calls; strict upstreams refuse it. */
function hasIndex(call: unknown): boolean {
  return typeof call === 'object' && call !== null && Object.hasOwn(call, 'index');
}

function execute(plan: Plan, request: AdaptableRequest, adaptation: Adaptation): Buffer {
  if (plan.set.size + plan.remove.size + plan.rename.size === 0 && !plan.editsMessages) return request.body;
  const edits = new MemberEdits(request.text);
  for (const name of plan.remove) edits.remove(name);
  for (const [from, to] of plan.rename) edits.rename(from, to);
  for (const [name, json] of plan.set) {
    edits.set(name, json === 'merge' ? withUsage(edits.valueOf(name) ?? '{}') : json);
  }
  if (plan.editsMessages) {
    edits.replace('messages', editMessages(edits.valueOf('messages') ?? '[]', adaptation.profile));
  }
  return Buffer.from(edits.toString());
}

function withUsage(options: string): string {
  const edits = new MemberEdits(options);
  edits.set('include_usage', 'true');
  return edits.toString();
}

function editMessages(text: string, profile: Adaptation['profile']): string {
  const drops = messageDrops(profile);
  return editElements(text, (message) => {
    const value: unknown = JSON.parse(message);
    if (!messageNeedsEdit(value, profile, drops)) return message;
    const edits = new MemberEdits(message);
    for (const name of drops) edits.remove(name);
    const role = (value as { role?: unknown }).role;
    const newRole =
      typeof role === 'string' && Object.hasOwn(profile.roles, role) ? profile.roles[role] : null;
    if (newRole) edits.replace('role', JSON.stringify(newRole));
    const calls = edits.valueOf('tool_calls');
    if (calls?.startsWith('[')) edits.replace('tool_calls', editElements(calls, withoutIndex));
    return edits.toString();
  });
}

function withoutIndex(call: string): string {
  if (!call.startsWith('{')) return call;
  const edits = new MemberEdits(call);
  edits.remove('index');
  return edits.toString();
}

/** The array with each element's text put through `edit`, and all between them as it was. */
function editElements(array: string, edit: (element: string) => string): string {
  let edited = '';
  let copiedTo = 0;
  for (const { start, end } of readElements(array)) {
    edited += array.slice(copiedTo, start) + edit(array.slice(start, end));
    copiedTo = end;
  }
  return edited + array.slice(copiedTo);
}
