import type { EnvSettings } from './env-source.ts';
import type { ExecSettings } from './exec/exec-settings.ts';
import type { FileSettings } from './file-source.ts';
import type { FunctionSettings } from './function-source.ts';
import type { HttpSettings } from './http/http-settings.ts';
import type { JwtSettings } from './jwt/jwt-source.ts';
import type { OAuth2Settings } from './oauth2/oauth2-settings.ts';
import type { StaticSettings } from './static-source.ts';

/** The recipe of one token source; `type` says which. Durations in milliseconds, secrets as `Secret`. */
export type SourceSettings =
  | StaticSettings
  | EnvSettings
  | FileSettings
  | ExecSettings
  | OAuth2Settings
  | HttpSettings
  | JwtSettings
  | FunctionSettings;
