import { type ExecSettings, ExecSource } from './exec-source.ts';
import { type FileSettings, FileSource } from './file-source.ts';
import { type FunctionSettings, FunctionSource } from './function-source.ts';
import type { HttpSettings } from './http-request.ts';
import { HttpSource } from './http-source.ts';
import { type JwtSettings, JwtSource } from './jwt-source.ts';
import type { OAuth2Settings } from './oauth2-request.ts';
import { OAuth2Source } from './oauth2-source.ts';
import { type EnvSettings, EnvSource, type StaticSettings, StaticSource } from './static-source.ts';
import type { SourceDeps, TokenSource } from './token-source.ts';

/** The settings of one token source, by `type`. Durations in milliseconds, secrets as `Secret`. */
export type SourceSettings =
  | StaticSettings
  | EnvSettings
  | FileSettings
  | ExecSettings
  | OAuth2Settings
  | HttpSettings
  | JwtSettings
  | FunctionSettings;

/**
 * The source that `settings` describe. `name` begins each of its messages. Opens nothing yet; throws
 * `TokenSourceError` for settings that cannot work, naming the field.
 */
export function createTokenSource(name: string, settings: SourceSettings, deps: SourceDeps): TokenSource {
  switch (settings.type) {
    case 'static':
      return new StaticSource(name, settings, deps);
    case 'env':
      return new EnvSource(name, settings, deps);
    case 'file':
      return new FileSource(name, settings, deps);
    case 'oauth2':
      return new OAuth2Source(name, settings, deps);
    case 'http':
      return new HttpSource(name, settings, deps);
    case 'exec':
      return new ExecSource(name, settings, deps);
    case 'jwt':
      return new JwtSource(name, settings, deps);
    case 'function':
      return new FunctionSource(name, settings, deps);
  }
}
