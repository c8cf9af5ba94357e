import type { LiveToken } from './issuer.ts';

/** The longest quotation of a question, in characters. */
const MAX_QUOTE = 200;

/** What the demo's model says: the question back, and what happened to it on the way. */
export function answerText(question: string, token: LiveToken, lifetimeMs: number): string {
  const quote = question.length > MAX_QUOTE ? `${question.slice(0, MAX_QUOTE)}…` : question;
  const ageSeconds = Math.round(token.ageMs / 1000);
  const lifeSeconds = Math.round(lifetimeMs / 1000);
  return [
    `You said: “${quote}”.`,
    'I am a stand-in model: I know nothing, but I only answer requests with a living access token.',
    `Yours came with token number ${token.serial}, ${ageSeconds} s old, which ends ${lifeSeconds} s after it was issued.`,
    'tokenferry obtained it and will have the next one before this one ends; your application never sees either.',
  ].join(' ');
}

interface Message {
  readonly role?: unknown;
  readonly content?: unknown;
}

/** The text of the last user message; parts of other kinds are left out. */
export function lastQuestion(messages: unknown): string {
  if (!Array.isArray(messages)) return '';
  const last = (messages as Message[]).findLast((message) => message?.role === 'user');
  if (typeof last?.content === 'string') return last.content;
  if (!Array.isArray(last?.content)) return '';
  const parts = last.content as { readonly text?: unknown }[];
  return parts.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('');
}

/** Words with the space before them: joined they are the text again. */
export function wordsOf(text: string): string[] {
  return text.match(/\s*\S+/g) ?? [];
}
