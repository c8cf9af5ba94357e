import { MemberEdits, removeAt } from '../../lib/json/json-edits.ts';
import type { Member } from '../../lib/json/json-scanner.ts';
import { planPromptAsChat } from '../completions/prompt-as-chat.ts';
import { blankPositions, fillBlanks } from '../embeddings/blank-inputs.ts';
import { areTokenIds } from '../embeddings/embeddings-request.ts';
import { type TokenText, textsOfTokenIds } from '../embeddings/token-ids.ts';
import { type LearnedChange, parseChange } from './learned-change.ts';
import { editMessages, type MessageEdits, planMessageEdits } from './message-edits.ts';
import type { ParsedRequest, RequestKind } from './parsed-request.ts';
import type { Profile } from './profile.ts';
import { isDroppable, renameOfRefused } from './refused-parameter.ts';
import { REWRITE } from './request-rewrites.ts';

interface Adaptation {
  readonly upstreamModel: string;
  /**
   * `dropParams` names top-level parameters, or members of messages as `messages.reasoning_content`
   * (S78).
   */
  readonly profile: Pick<
    Profile,
    'dropParams' | 'renameParams' | 'roles' | 'messageContent' | 'system' | 'alwaysStream' | 'completions'
  >;
  /** True: usage is needed even when the client did not ask for it. */
  readonly wantUsage: boolean;
  /** What this upstream's refusals have taught lately (`learned-change.ts`); `max_tokens` and `max_completion_tokens` are renamed. */
  readonly learnedDrops: readonly string[];
  /** False: `refusal: null` in the history is what the gateway has added. Default: false. */
  readonly sendsRefusal?: boolean;
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
  /** What is sent in another form without loss: under another name as `from>to`, or as a stream (`stream:false`). */
  readonly renamed: readonly string[];
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
  readonly renamed: string[];
  /** Members inside of parameters that are left out. */
  readonly removeInside: string[][];
  /** Null: no message changes. */
  messageEdits: MessageEdits | null;
}

type Json = Readonly<Record<string, unknown>>;

function emptyPlan(): Plan {
  return {
    set: new Map(),
    remove: new Set(),
    rename: new Map(),
    dropped: [],
    renamed: [],
    removeInside: [],
    messageEdits: null,
  };
}

/**
 * The body for the upstream: byte for byte the client's, except for the model's alias, the profile, usage requested, members without meaning in the call, and what the upstream refused before.
 */
export function adaptRequest(request: ParsedRequest, adaptation: Adaptation): AdaptedRequest {
  const { profile, learnedDrops } = adaptation;
  const isPlain = !adaptation.forceStream && !profile.alwaysStream && learnedDrops.length === 0;
  const stream = isPlain ? request.stream : isStream(request, adaptation);
  const plan = emptyPlan();
  if (adaptation.upstreamModel !== request.model) {
    plan.set.set('model', JSON.stringify(adaptation.upstreamModel));
  }
  if (profile.dropParams.length > 0 || learnedDrops.length > 0)
    planDrops(plan, request.json, adaptation, stream);
  if (learnedDrops.length > 0 || Object.keys(profile.renameParams).length > 0)
    planRenames(plan, request.json, adaptation);
  planMeaningless(plan, request);
  if (GENERATION.has(request.kind)) {
    planStream(plan, request, adaptation, stream);
    const { sendsRefusal = false } = adaptation;
    plan.messageEdits = planMessageEdits(request.json.messages, {
      profile,
      learned: learnedDrops,
      sendsRefusal,
    });
    if (plan.messageEdits !== null) plan.dropped.push(...plan.messageEdits.dropped);
    if (plan.messageEdits !== null) plan.renamed.push(...plan.messageEdits.renamed);
  }
  if (request.kind === 'embeddings') planEmbeddings(plan, request.json, adaptation);
  const isPromptAsChat = request.kind === 'completions' && profile.completions === 'via_chat';
  if (isPromptAsChat) planPromptAsChat(plan, request.json);
  const endpoint = isPromptAsChat ? 'chat' : request.kind;
  const { dropped, renamed } = plan;
  const text = editedText(plan, request.text, request.members);
  const body = text === null ? request.body : Buffer.from(text);
  return { body, dropped, renamed, stream, endpoint };
}

/** The parameters of a body that is passed through: `text` is its JSON, one character for each byte. */
interface PassedParameters {
  readonly text: string;
  readonly members: readonly Member[];
  readonly json: Json;
  /** Whether it asks for a stream. */
  readonly stream: boolean;
}

/** A passed-through body with the model, `drop_params` and what refusals have taught of its parameters. */
export function adaptParameters(
  { text, members, json, stream }: PassedParameters,
  adaptation: Pick<Adaptation, 'learnedDrops'> & {
    /** Null: unchanged. */
    readonly model: string | null;
    readonly dropParams: readonly string[];
  },
): Pick<AdaptedRequest, 'dropped' | 'renamed'> & { readonly text: string } {
  const plan = emptyPlan();
  const { learnedDrops, model, dropParams } = adaptation;
  if (model !== null) plan.set.set('model', Buffer.from(JSON.stringify(model)).toString('latin1'));
  for (const name of [...dropParams, ...learnedDrops]) {
    if (name.startsWith('messages.') && !name.includes('>')) dropInside(plan, json, name);
  }
  planDrops(plan, json, { profile: { dropParams }, learnedDrops }, stream);
  const { dropped, renamed } = plan;
  return { text: editedText(plan, text, members) ?? text, dropped, renamed };
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
  json: Json,
  {
    profile,
    learnedDrops,
  }: { readonly profile: Pick<Profile, 'dropParams'>; readonly learnedDrops: readonly string[] },
  stream: boolean,
): void {
  for (const name of profile.dropParams) {
    if (!isInside(name, json)) drop(plan, json, name);
    else if (!name.startsWith('messages.')) dropInside(plan, json, name);
  }
  for (const text of learnedDrops) {
    const change = parseChange(text);
    if (change !== null) planLearned(plan, json, change, stream);
  }
  // Without logprobs the API refuses top_logprobs.
  if (plan.remove.has('logprobs') && Object.hasOwn(json, 'top_logprobs')) drop(plan, json, 'top_logprobs');
}

/** What a refusal has taught of one parameter; what it has of messages is planned with them. */
function planLearned(plan: Plan, json: Json, change: LearnedChange, stream: boolean): void {
  const { name, onlyValue, renamedTo, setTo, onlyStream } = change;
  if (isInside(name, json)) {
    if (!name.startsWith('messages.')) dropInside(plan, json, name);
    return;
  }
  if (onlyStream !== null && onlyStream !== stream) return;
  // A length limit is only renamed.
  if (renamedTo === null && !isDroppable(name)) return;
  if (setTo !== null) {
    if (plan.remove.has(name) || JSON.stringify(json[name]) === setTo) return;
    plan.set.set(name, setTo);
    plan.dropped.push(`${name}=${setTo}`);
  } else if (renamedTo !== null) planLearnedRename(plan, json, name, renamedTo);
  else if (onlyValue === null || JSON.stringify(json[name]) === onlyValue) drop(plan, json, name);
}

/** `to` may be a member of another parameter, such as `reasoning.effort`. */
function planLearnedRename(plan: Plan, json: Json, name: string, to: string): void {
  const [outer = '', inner] = to.split('.');
  if (!Object.hasOwn(json, name)) return;
  if (Object.hasOwn(json, outer)) drop(plan, json, name);
  else if (inner === undefined) planRename(plan, json, name, to);
  else {
    plan.remove.add(name);
    plan.set.set(outer, JSON.stringify({ [inner]: json[name] }));
    plan.renamed.push(`${name}>${to}`);
  }
}

/** Names of parameters have dots too. */
function isInside(name: string, json: Json): boolean {
  return name.includes('.') && !Object.hasOwn(json, name);
}

/** A member inside of a parameter: `tools.cache_control`. Those of chat messages are edited with them. */
function dropInside(plan: Plan, json: Json, name: string): void {
  const path = name.split('.');
  if (!hasInside(json, path)) return;
  plan.removeInside.push(path);
  plan.dropped.push(name);
}

function hasInside(value: unknown, path: readonly string[]): boolean {
  if (Array.isArray(value)) return value.some((element) => hasInside(element, path));
  const [name, ...rest] = path;
  if (name === undefined || typeof value !== 'object' || value === null || !Object.hasOwn(value, name))
    return false;
  return rest.length === 0 || hasInside((value as Json)[name], rest);
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
  if (!wins && isTaken) return;
  plan.rename.set(from, to);
  plan.renamed.push(`${from}>${to}`);
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
  if (stream && !request.stream) plan.renamed.push(REWRITE.notStreaming);
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

/** Null: nothing is to be changed. */
function editedText(plan: Plan, text: string, members: readonly Member[]): string | null {
  const changes = plan.set.size + plan.remove.size + plan.rename.size + plan.removeInside.length;
  if (changes === 0 && plan.messageEdits === null) return null;
  const edits = new MemberEdits(text, members);
  for (const name of plan.remove) edits.remove(name);
  for (const [from, to] of plan.rename) edits.rename(from, to);
  for (const [name, json] of plan.set) {
    edits.set(name, typeof json === 'string' ? json : json(edits.valueOf(name) ?? ''));
  }
  for (const [parameter = '', ...path] of plan.removeInside) {
    const json = edits.valueOf(parameter);
    if (json !== undefined && !plan.remove.has(parameter)) edits.replace(parameter, removeAt(json, path));
  }
  if (plan.messageEdits !== null) {
    edits.replace('messages', editMessages(edits.valueOf('messages') ?? '[]', plan.messageEdits));
  }
  return edits.toString();
}

function withUsage(options: string): string {
  const edits = new MemberEdits(options);
  edits.set('include_usage', 'true');
  return edits.toString();
}
