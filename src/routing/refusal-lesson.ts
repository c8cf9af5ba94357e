import type { FerryError } from '../lib/errors/ferry-error.ts';
import { type JsonObject, parseJson } from '../lib/json/json-object.ts';
import { parameterOf, parseChange } from '../openai/request/learned-change.ts';
import type { RequestKind } from '../openai/request/parsed-request.ts';
import { findForeignSignatures, findRefusedMembers } from '../openai/request/refused-member.ts';
import { findRefusedParameters, saysMissing } from '../openai/request/refused-parameter.ts';
import { findRewrite, REWRITE, refusesStreaming } from '../openai/request/request-rewrites.ts';
import { findToolCallIdForm } from '../openai/request/tool-call-ids.ts';
import type { Attempt } from './attempt.ts';

/** A request as far as an upstream may refuse something of it that it can do without. */
export interface RefusableRequest {
  /** `passed`: of another API than those that are read; only its parameters are changed. */
  readonly kind: RequestKind | 'passed';
  readonly json: JsonObject;
  readonly stream: boolean;
}

/** What a refusal teaches: the changes (`learned-change.ts`) with which the request is sent again. */
interface Lesson {
  readonly changes: readonly string[];
  /** False: it is about the conversation of this request alone. */
  readonly isRemembered: boolean;
  readonly error: FerryError;
}

/** Refusals of one request by one upstream; each may name several things. */
const MAX_LESSONS = 8;

/** What the refusals of one request by one upstream have taught, so that a wrong conclusion is undone. */
export class RefusalLessons {
  readonly #lessons: Lesson[] = [];
  /** Changes that did not help. */
  readonly #failed: string[] = [];
  /** Changes for this request alone. */
  ownChanges: readonly string[] = [];

  /**
   * Whether the request is sent again with what this refusal teaches; then the upstream remembers it for an hour. When the
   * change of the refusal before did not help, it is forgotten. Null: the client gets the error.
   */
  learn(error: FerryError, attempt: Attempt, request: RefusableRequest): boolean {
    if (error.kind !== 'client_fault' || !attempt.upstream.profile.learn) return false;
    const last = this.#lessons.at(-1);
    if (last !== undefined && isSame(error, last.error)) this.#forget(last, attempt);
    if (this.#lessons.length >= MAX_LESSONS) return false;
    const lesson = lessonOf(error, attempt, request, this.#failed);
    if (lesson === null) return false;
    this.#lessons.push(lesson);
    if (!lesson.isRemembered) this.ownChanges = [...this.ownChanges, ...lesson.changes];
    else {
      const { learnedDrops } = attempt.upstream;
      for (const change of lesson.changes)
        learnedDrops.add(attempt.learnedKey, change, error.message.slice(0, 300));
    }
    return true;
  }

  /**
   * The error that the client gets in place of one that only follows from a change: a parameter is missing that was left
   * out. The change is forgotten.
   */
  originalOf(error: FerryError, attempt: Attempt): FerryError {
    const cause = this.#lessons.find(({ changes }) => saysMissing(error, namesLeftOut(changes)));
    if (cause === undefined) return error;
    this.#forget(cause, attempt);
    return cause.error;
  }

  #forget({ changes }: Lesson, { upstream, learnedKey }: Attempt): void {
    this.#failed.push(...changes);
    this.ownChanges = this.ownChanges.filter((change) => !changes.includes(change));
    for (const change of changes) upstream.learnedDrops.remove(learnedKey, change);
  }
}

function namesLeftOut(changes: readonly string[]): readonly string[] {
  return changes.map(parameterOf).filter((name) => name !== null && name !== 'messages') as readonly string[];
}

/** The same words, with other ids, times and numbers in them. */
function isSame(error: FerryError, other: FerryError): boolean {
  return bare(error.message) === bare(other.message) && error.param === other.param;
}

function bare(message: string): string {
  return message.replace(/[0-9a-f-]{16,}|\d+/gi, '#');
}

function lessonOf(
  error: FerryError,
  attempt: Attempt,
  request: RefusableRequest,
  failed: readonly string[],
): Lesson | null {
  const avoided = failed.length === 0 ? attempt.learnedDrops : [...attempt.learnedDrops, ...failed];
  const remembered = (changes: readonly string[]): Lesson | null => {
    // What this attempt was changed by already is nothing to learn; what another request has taught meanwhile is.
    const news = changes.filter((change) => !avoided.includes(change));
    return news.length === 0 ? null : { changes: news, isRemembered: true, error };
  };
  const { response, isStreamSent } = attempt;
  const body = response?.ok === false ? parseJson(response.errorText ?? '') : undefined;
  const { json, kind } = request;
  const parameters = findRefusedParameters(error, { json, stream: isStreamSent }, body);
  const stated = remembered(parameters.filter((change) => (parseChange(change)?.setTo ?? null) !== null));
  if (stated !== null) return stated;
  if (kind === 'passed') return remembered(parameters) ?? remembered(markersIn(error, json, avoided, body));
  const parsed = { kind, json, stream: request.stream };
  const members = kind === 'chat' ? findRefusedMembers(error, json, avoided, body) : [];
  if (kind === 'chat') {
    const ids = remembered(listOf(findToolCallIdForm(error, json.messages)));
    if (ids !== null) return ids;
    const signatures = findForeignSignatures(error, json).filter((change) => !avoided.includes(change));
    if (signatures.length > 0) return { changes: signatures, isRemembered: false, error };
  }
  // Names of members are more certain than the words of a rewrite, and those than a null.
  const found =
    remembered(members.filter((change) => !change.endsWith(NULL))) ??
    remembered(listOf(findRewrite(error, parsed, avoided))) ??
    remembered(members);
  if (found !== null) return found;
  const named = remembered(parameters);
  if (named !== null) return named;
  const isStream = !attempt.upstream.profile.alwaysStream && !avoided.includes(REWRITE.streaming);
  return isStream && refusesStreaming(error, parsed) ? remembered([REWRITE.streaming]) : null;
}

const NULL = '(=null)';

function listOf(change: string | null): readonly string[] {
  return change === null ? [] : [change];
}

/** Of the conversations of other APIs only the markers for caches are left out. */
function markersIn(
  error: FerryError,
  json: JsonObject,
  avoided: readonly string[],
  body: unknown,
): readonly string[] {
  return findRefusedMembers(error, json, avoided, body).filter((change) => change.endsWith('.cache_control'));
}
