import { FerryError } from '../../lib/errors/ferry-error.ts';
import { editElements, MemberEdits } from '../../lib/json/json-edits.ts';
import { isJsonObject } from '../../lib/json/json-object.ts';
import { planPromptAsChat } from '../completions/prompt-as-chat.ts';
import { blankPositions, fillBlanks } from '../embeddings/blank-inputs.ts';
import { areTokenIds } from '../embeddings/embeddings-request.ts';
import { type TokenText, textsOfTokenIds } from '../embeddings/token-ids.ts';
import type { ParsedRequest, RequestKind } from './parsed-request.ts';
import type { Profile } from './profile.ts';
import { isDroppable, renameOfRefused } from './refused-parameter.ts';
import {
  type ContentHolder,
  needsRewrite,
  REWRITE,
  type Rewrite,
  rewrittenContent,
  textOfPart,
} from './request-rewrites.ts';

interface Adaptation {
  readonly upstreamModel: string;
  /**
   * `dropParams` names top-level parameters, or members of messages as `messages.reasoning_content`
   * (S78).
   */
  readonly profile: Pick<
    Profile,
    'dropParams' | 'renameParams' | 'roles' | 'messageContent' | 'alwaysStream' | 'completions'
  >;
  /** True: usage is needed even when the client did not ask for it. */
  readonly wantUsage: boolean;
  /** Parameters that this upstream refused lately (`max_tokens` and `max_completion_tokens` are renamed), and rewrites. */
  readonly learnedDrops: readonly string[];
  /** True: always request a stream. */
  readonly forceStream: boolean;
  /** Decodes token ids of an embeddings request to text; absent or null: they are sent unchanged. */
  readonly tokenText?: TokenText | null;
}

export interface AdaptedRequest {
  /** The client's own bytes when nothing had to change. */
  readonly body: Buffer;
  /** What is not sent, or is rewritten, because of the profile or `learnedDrops` (`x-tokenferry-dropped`). */
  readonly dropped: readonly string[];
  /** Whether the upstream is sent a stream request. */
  readonly stream: boolean;
  /** Which of the upstream's endpoints the body is for: a prompt may have become a chat (`completions: via_chat`). */
  readonly endpoint: RequestKind;
}

/** What must change, decided on the parsed values before any text is edited. */
interface Plan {
  /** Name → JSON text of the new value, or how it is made from the text of the old one. */
  readonly set: Map<string, string | ((old: string) => string)>;
  readonly remove: Set<string>;
  readonly rename: Map<string, string>;
  readonly dropped: string[];
  /** Null: no message changes. */
  messageEdits: ReturnType<typeof editsOf>;
}

type Json = Readonly<Record<string, unknown>>;

/**
 * The body for the upstream: byte for byte the client's, except for the model's alias, the profile, usage requested, members without meaning in the call, and what the upstream refused before.
 */
export function adaptRequest(request: ParsedRequest, adaptation: Adaptation): AdaptedRequest {
  const stream = isStream(request, adaptation);
  const plan: Plan = {
    set: new Map(),
    remove: new Set(),
    rename: new Map(),
    dropped: [],
    messageEdits: null,
  };
  if (adaptation.upstreamModel !== request.model) {
    plan.set.set('model', JSON.stringify(adaptation.upstreamModel));
  }
  const { profile, learnedDrops } = adaptation;
  if (profile.dropParams.length > 0 || learnedDrops.length > 0) planDrops(plan, request, adaptation);
  planRenames(plan, request.json, adaptation);
  planMeaningless(plan, request);
  if (GENERATION.has(request.kind)) {
    planStream(plan, request, adaptation, stream);
    plan.messageEdits = editsOf(request.json.messages, profile, learnedDrops);
    plan.dropped.push(...(plan.messageEdits?.dropped ?? []));
  }
  if (request.kind === 'embeddings') planEmbeddings(plan, request.json, adaptation);
  const isPromptAsChat = request.kind === 'completions' && profile.completions === 'via_chat';
  if (isPromptAsChat) planPromptAsChat(plan, request.json);
  const endpoint = isPromptAsChat ? 'chat' : request.kind;
  return { body: execute(plan, request), dropped: plan.dropped, stream, endpoint };
}

/** Requests whose response is text of a model. */
const GENERATION: ReadonlySet<RequestKind> = new Set<RequestKind>(['chat', 'completions']);

/** Whether a stream is requested; an upstream that refused both is sent stream requests. */
function isStream(request: ParsedRequest, { forceStream, profile, learnedDrops }: Adaptation): boolean {
  if (!GENERATION.has(request.kind)) return request.stream;
  if (forceStream || profile.alwaysStream || learnedDrops.includes(REWRITE.notStreaming)) return true;
  return request.stream && !learnedDrops.includes(REWRITE.streaming);
}

function planDrops(
  plan: Plan,
  { json, derived }: ParsedRequest,
  { profile, learnedDrops }: Adaptation,
): void {
  for (const name of profile.dropParams) drop(plan, json, name);
  for (const name of learnedDrops) {
    if (isDroppable(name) || derived?.includes(name) === true) drop(plan, json, name);
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
  const { renameParams } = profile;
  for (const from of Object.keys(renameParams)) planRename(plan, json, from, renameParams[from] ?? from);
  for (const name of learnedDrops) {
    const other = renameOfRefused(name);
    // Refused under both names: it is sent as the client wrote it, and the client gets the upstream's error.
    if (other !== null && !learnedDrops.includes(other) && !Object.hasOwn(renameParams, name))
      planRename(plan, json, name, other);
  }
}

function planRename(plan: Plan, json: Json, from: string, to: string): void {
  if (from === to || !Object.hasOwn(json, from) || plan.remove.has(from)) return;
  const isTaken = Object.hasOwn(json, to) && !plan.remove.has(to);
  // Of the two limits the newer one wins (S98); a null has no meaning.
  const wins = json[from] !== null && (json[to] === null || from === 'max_completion_tokens');
  if (isTaken) plan.remove.add(wins ? to : from);
  if (wins || !isTaken) plan.rename.set(from, to);
}

/** Parameters that OpenAI's specification does not allow to be null; strict upstreams refuse a null. */
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

/** Lists without meaning when empty, which OpenAI and others refuse then (S104). */
const NEVER_EMPTY = ['stop', 'tools', 'functions'];
/** Parameters about tools, refused where there are none (S80). */
const ABOUT_TOOLS = ['tool_choice', 'parallel_tool_calls'];

function planMeaningless(plan: Plan, request: ParsedRequest): void {
  const { json } = request;
  for (const name of NEVER_NULL) if (json[name] === null) plan.remove.add(name);
  if (!GENERATION.has(request.kind)) return;
  for (const name of NEVER_EMPTY) {
    const list = json[name];
    if (Array.isArray(list) && list.length === 0) plan.remove.add(name);
  }
  if (request.kind !== 'chat' || (request.hasTools && !plan.remove.has('tools'))) return;
  for (const name of ABOUT_TOOLS) if (Object.hasOwn(json, name)) plan.remove.add(name);
}

function planStream(plan: Plan, request: ParsedRequest, adaptation: Adaptation, stream: boolean): void {
  const { json } = request;
  if (stream !== request.stream) plan.set.set('stream', String(stream));
  if (request.stream && !stream) plan.dropped.push(REWRITE.streaming);
  const hasOptions = Object.hasOwn(json, 'stream_options');
  const isForced = stream && !request.stream;
  if (hasOptions && !(request.stream && stream)) plan.remove.add('stream_options');
  const isRefused =
    adaptation.learnedDrops.includes('stream_options') ||
    adaptation.profile.dropParams.includes('stream_options');
  if (!stream || isRefused || request.includeUsage || !(adaptation.wantUsage || isForced)) return;
  const options = json.stream_options;
  if (!hasOptions || isForced || typeof options !== 'object' || options === null || Array.isArray(options)) {
    plan.set.set('stream_options', '{"include_usage":true}');
  } else {
    // The client's own object with one member more.
    plan.set.set('stream_options', withUsage);
  }
  plan.remove.delete('stream_options');
}

/**
 * What an embeddings request needs for its upstream. Throws FerryError `invalid_request` for token ids that cannot be
 * put back into text.
 */
function planEmbeddings(plan: Plan, json: Json, adaptation: Adaptation): void {
  const { tokenText, learnedDrops } = adaptation;
  if (learnedDrops.includes(REWRITE.base64) && json.encoding_format === 'base64') {
    plan.set.set('encoding_format', '"float"');
    plan.dropped.push(REWRITE.base64);
  }
  let { input } = json;
  let decoded: string | null = null;
  if (tokenText && areTokenIds(input)) {
    input = textsOfTokenIds(input, tokenText);
    decoded = JSON.stringify(input);
    plan.set.set('input', decoded);
    plan.dropped.push(REWRITE.tokenIds);
  }
  if (learnedDrops.includes(REWRITE.blankInputs) && blankPositions(input).length > 0) {
    plan.set.set('input', decoded === null ? fillBlanks : fillBlanks(decoded));
    plan.dropped.push(REWRITE.blankInputs);
  }
}

function execute(plan: Plan, request: ParsedRequest): Buffer {
  if (plan.set.size + plan.remove.size + plan.rename.size === 0 && plan.messageEdits === null)
    return request.body;
  const edits = new MemberEdits(request.text, request.members);
  for (const name of plan.remove) edits.remove(name);
  for (const [from, to] of plan.rename) edits.rename(from, to);
  for (const [name, json] of plan.set) {
    edits.set(name, typeof json === 'string' ? json : json(edits.valueOf(name) ?? ''));
  }
  if (plan.messageEdits !== null) {
    edits.replace('messages', editMessages(edits.valueOf('messages') ?? '[]', plan.messageEdits));
  }
  return Buffer.from(edits.toString());
}

function withUsage(options: string): string {
  const edits = new MemberEdits(options);
  edits.set('include_usage', 'true');
  return edits.toString();
}

/** What must change inside the messages of a request. */
interface MessageEdits {
  /** Positions of the messages that change. */
  readonly positions: ReadonlySet<number>;
  /** Members that messages lose. */
  readonly drops: readonly string[];
  /** The same, as the profile names them, where a message had one, and the rewrites that were applied. */
  readonly dropped: readonly string[];
  readonly roles: Readonly<Record<string, string>>;
  readonly rewrites: ReadonlySet<Rewrite>;
}

const PREFIX = 'messages.';
const NONE: readonly string[] = [];
const CONTENT_REWRITES = [REWRITE.parts, REWRITE.nullContent, REWRITE.emptyContent] as const;

const NO_REWRITES: ReadonlySet<Rewrite> = new Set();
/** `message_content: text`: each content is one text. */
const TEXT_ONLY: readonly Rewrite[] = [REWRITE.parts, REWRITE.nullContent];

/**
 * The edits that the profile asks for (roles, `message_content`, `drop_params: [messages.reasoning_content]`), those
 * learned from the upstream's errors, and the removal of `index` from tool calls in the history: clients that replay
 * stream deltas send it, and strict upstreams refuse it (S78). Null: nothing to edit. Throws FerryError
 * `invalid_request` for parts other than text under `message_content: text`.
 */
function editsOf(
  messages: unknown,
  profile: Pick<Profile, 'dropParams' | 'roles' | 'messageContent'>,
  learned: readonly string[] = [],
): MessageEdits | null {
  if (!Array.isArray(messages)) return null;
  const drops =
    profile.dropParams.length === 0 && learned.length === 0
      ? NONE
      : messageDropsOf(profile.dropParams, learned);
  if (profile.messageContent === 'text') refuseOtherParts(messages);
  const rewrites = rewritesOf(profile, learned);
  const roles = learned.includes(REWRITE.developer)
    ? { developer: 'system', ...profile.roles }
    : profile.roles;
  const wanted = { roles, drops, rewrites };
  let positions: Set<number> | null = null;
  for (let position = 0; position < messages.length; position++) {
    if (!needsEdit(messages[position], wanted)) continue;
    positions ??= new Set();
    positions.add(position);
  }
  if (positions === null) return null;
  const dropped = drops
    .filter((name) => messages.some((message) => has(message, name)))
    .map((name) => PREFIX + name);
  const applied = [...rewrites].filter((rewrite) =>
    messages.some((message) => isJsonObject(message) && needsRewrite(message, rewrite)),
  );
  return { positions, drops, dropped: [...dropped, ...applied], roles, rewrites };
}

/** The members of messages that `drop_params` names, and the reasoning where the upstream refused it. */
function messageDropsOf(names: readonly string[], learned: readonly string[]): string[] {
  const drops = names.filter((name) => name.startsWith(PREFIX)).map((name) => name.slice(PREFIX.length));
  return learned.includes(REWRITE.reasoning) ? [...drops, 'reasoning_content'] : drops;
}

/** Throws FerryError 400 that names the first part which is no text (S102). */
function refuseOtherParts(messages: readonly unknown[]): void {
  for (const [position, message] of messages.entries()) {
    const content: unknown = isJsonObject(message) ? message.content : undefined;
    if (!Array.isArray(content)) continue;
    const other = content.findIndex((part) => typeof part !== 'string' && textOfPart(part) === null);
    if (other === -1) continue;
    const part: unknown = content[other];
    const type =
      isJsonObject(part) && typeof part.type === 'string' ? part.type.slice(0, 40) : 'of an unknown type';
    const place = `messages.${position}.content.${other}`;
    throw new FerryError('invalid_request', {
      message: `This model accepts text only, and ${place} is ${type}. Leave it out.`,
      param: place,
    });
  }
}

/** The text of the messages with the edits made, everything else byte for byte. */
function editMessages(text: string, edits: MessageEdits): string {
  return editElements(text, (message, position) =>
    edits.positions.has(position) ? editOne(message, edits) : message,
  );
}

function rewritesOf(
  profile: Pick<Profile, 'messageContent'>,
  learned: readonly string[],
): ReadonlySet<Rewrite> {
  if (profile.messageContent === 'keep' && learned.length === 0) return NO_REWRITES;
  const rewrites = new Set(profile.messageContent === 'text' ? TEXT_ONLY : []);
  for (const rewrite of [...CONTENT_REWRITES, REWRITE.developer])
    if (learned.includes(rewrite)) rewrites.add(rewrite);
  return rewrites;
}

function needsEdit(message: unknown, edits: Pick<MessageEdits, 'roles' | 'drops' | 'rewrites'>): boolean {
  if (!isJsonObject(message)) return false;
  const { role, tool_calls: calls } = message;
  if (typeof role === 'string' && Object.hasOwn(edits.roles, role)) return true;
  if (edits.drops.length > 0 && edits.drops.some((name) => Object.hasOwn(message, name))) return true;
  if (edits.rewrites.size > 0 && rewrittenContent(message, edits.rewrites) !== undefined) return true;
  return Array.isArray(calls) && calls.some((call) => has(call, 'index'));
}

function has(value: unknown, name: string): boolean {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name);
}

function editOne(message: string, { drops, roles, rewrites }: MessageEdits): string {
  const edits = new MemberEdits(message);
  for (const name of drops) edits.remove(name);
  const role: unknown = JSON.parse(edits.valueOf('role') ?? 'null');
  if (typeof role === 'string' && Object.hasOwn(roles, role))
    edits.replace('role', JSON.stringify(roles[role]));
  if (rewrites.size > 0) {
    const content = rewrittenContent(JSON.parse(message) as ContentHolder, rewrites);
    if (content !== undefined) edits.set('content', JSON.stringify(content));
  }
  const calls = edits.valueOf('tool_calls');
  if (calls?.startsWith('[')) edits.replace('tool_calls', editElements(calls, withoutIndex));
  return edits.toString();
}

function withoutIndex(call: string): string {
  if (!call.startsWith('{')) return call;
  const edits = new MemberEdits(call);
  edits.remove('index');
  return edits.toString();
}
