import { resolvePointer } from '../../../lib/json/json-pointer.ts';
import type { IssuerReply } from '../../issuer/issuer-client.ts';
import { issuerWords } from '../../issuer/issuer-refusal.ts';
import { type AnswerBody, describeAnswer, describeValue } from '../../issuer/issuer-response.ts';
import type { SourceVoice } from '../source-errors.ts';
import type { SuccessSettings, SuccessValue } from './http-settings.ts';
import { requireJson } from './token-location.ts';

/** Throws when the answer is what `denied` calls a refusal of our credentials. */
export function checkDenied(
  voice: SourceVoice,
  denied: SuccessSettings | undefined,
  reply: IssuerReply,
  answer: AnswerBody,
): void {
  if (denied === undefined) return;
  if (denied.status !== undefined && !isExpectedStatus(denied.status, reply.status)) return;
  const json = answer.kind === 'json' ? answer.value : undefined;
  const isMatch = Object.entries(denied.json ?? {}).every(([pointer, expected]) =>
    isAllowed(expected, resolvePointer(json, pointer).value),
  );
  if (!isMatch) return;
  const words = issuerWords(json, (text) => voice.scrub(text));
  throw voice.error('denied', `matches the answer, status ${reply.status}${words}`, 'credentials');
}

/** Throws unless the answer is what `success` calls one. Many issuers put their errors under status 200. */
export function checkSuccess(
  voice: SourceVoice,
  success: SuccessSettings | undefined,
  reply: IssuerReply,
  answer: AnswerBody,
): void {
  if (!isExpectedStatus(success?.status, reply.status)) {
    if (reply.status >= 300) throw voice.refusal('url', reply);
    throw voice.error(
      'success',
      `expects another status: the issuer answered ${describeAnswer(reply, answer)}`,
    );
  }
  for (const [pointer, expected] of Object.entries(success?.json ?? {})) {
    const json = requireJson(voice, reply, answer);
    const { value } = resolvePointer(json, pointer);
    if (isAllowed(expected, value)) continue;
    const what = `expects ${pointer} to be ${listOf(expected)
      .map((one) => JSON.stringify(one))
      .join(' or ')}, it is ${shown(value)}`;
    throw voice.contradiction('success', reply, json, what);
  }
}

function isExpectedStatus(expected: SuccessSettings['status'], status: number): boolean {
  if (expected === undefined) return status >= 200 && status <= 299;
  return typeof expected === 'number' ? expected === status : expected.includes(status);
}

type Expected = SuccessValue | readonly SuccessValue[];

function listOf(expected: Expected): readonly SuccessValue[] {
  return Array.isArray(expected) ? (expected as readonly SuccessValue[]) : [expected as SuccessValue];
}

function isAllowed(expected: Expected, value: unknown): boolean {
  return listOf(expected).some((candidate) => isSame(candidate, value));
}

/** `0` and `"0"` are the same code: issuers change between them, and YAML has its own mind about quotes. */
function isSame(expected: SuccessValue, value: unknown): boolean {
  if (typeof value === 'object' || value === undefined) return value === expected;
  return String(expected) === String(value);
}

function shown(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : describeValue(value);
}
