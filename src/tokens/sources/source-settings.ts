import type { EnvSettings } from './env-source.ts';
import type { FileSettings } from './file-source.ts';
import type { HttpSettings } from './http-settings.ts';
import type { OAuth2Settings } from './oauth2-settings.ts';
import type { StaticSettings } from './static-source.ts';

/** The recipe of one token source; `type` says which. Durations in milliseconds, secrets as `Secret`. */
export type SourceSettings = StaticSettings | EnvSettings | FileSettings | OAuth2Settings | HttpSettings;
