import type { Profile } from '../../src/openai/request/profile.ts';

/** The profile of an upstream without one in its configuration. */
export const DEFAULT_PROFILE: Profile = Object.freeze({
  thinkTags: 'keep',
  cumulative: 'never',
  dropParams: Object.freeze([]),
  renameParams: Object.freeze({}),
  roles: Object.freeze({}),
  messageContent: 'keep',
  system: 'keep',
  learn: true,
  alwaysStream: false,
  embeddingBatch: 0,
  tokenIds: 'auto',
  completions: 'native',
  responses: 'auto',
  messages: 'auto',
});
