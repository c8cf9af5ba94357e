import { z } from 'zod';
import { list, mapOf } from '../types/collection-types.ts';
import { field, optional, required, variant } from '../types/fields.ts';
import { duration } from '../types/number-types.ts';
import { templateJsonMap, templateVariable, textOrSecret } from '../types/template-types.ts';
import { choice, secret, text, word } from '../types/text-types.ts';
import { expiresAt, LONGEST_TTL_MS, ofEverySource } from './token-source-fields.ts';

export const staticSource = variant(
  { type: z.literal('static'), value: required(secret, 'The token.'), ...ofEverySource },
  'A token that does not change.',
);

export const envSource = variant(
  { type: z.literal('env'), name: required(word, 'Name of the environment variable.'), ...ofEverySource },
  'A token from an environment variable.',
);

export const fileSource = variant(
  {
    type: z.literal('file'),
    path: required(word, 'The file; read again when it changes.'),
    token_at: optional(word, 'JSON pointer to the token, when the file holds JSON.'),
    ...ofEverySource,
  },
  'A token that something else writes to a file: a Kubernetes service account, a Vault agent, a sidecar.',
);

export const execSource = variant(
  {
    type: z.literal('exec'),
    command: required(list(text, { minItems: 1 }), 'Program and arguments; no shell.'),
    env: field(mapOf(textOrSecret), {}, 'Environment variables beside our own.'),
    cwd: optional(word, 'Directory in which it runs. Default: the working directory.'),
    timeout: field(duration({ min: 1 }), 30, 'The program and its children are ended after this.'),
    format: field(
      choice('auto', 'text', 'json', 'exec_credential', 'az', 'gcloud', 'gcp_executable'),
      'auto',
      'What it prints: the bare token, JSON with `token_at`, or the JSON of well-known programs; `auto` finds out.',
    ),
    token_at: optional(word, 'JSON pointer to the token, for `json`.'),
    expires_at: expiresAt,
    ...ofEverySource,
  },
  'A token that a program prints: bare, as JSON, or as a Kubernetes ExecCredential.',
);

export const jwtSource = variant(
  {
    type: z.literal('jwt'),
    alg: required(word, 'Signature algorithm, e.g. HS256, RS256, ES256, EdDSA.'),
    key: required(secret, 'The shared secret; or the private key as PEM, or the name of a PEM file.'),
    passphrase: optional(secret, 'Opens `key`.'),
    header: field(templateJsonMap, {}, 'More header fields; texts may hold {{templates}}.'),
    claims: field(templateJsonMap, {}, 'Claims; texts may hold {{templates}}.'),
    vars: field(mapOf(templateVariable), {}, 'Names for templates.'),
    ttl: field(duration({ min: 1_000, max: LONGEST_TTL_MS }), 300, 'Life of each token.'),
    ...ofEverySource,
  },
  'A token that is signed here: Zhipu, Snowflake and the like.',
);

export const functionSource = variant(
  {
    type: z.literal('function'),
    module: required(
      word,
      'ES module whose default export is an async function returning the token, or { value, lifetime_ms }.',
    ),
    export: optional(word, 'Name of the exported function, when it is not the default export.'),
    ...ofEverySource,
  },
  'A token from own code.',
);
