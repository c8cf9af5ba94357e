import { EnvSource } from './env-source.ts';
import { ExecSource } from './exec/exec-source.ts';
import { FileSource } from './file-source.ts';
import { FunctionSource } from './function-source.ts';
import { HttpSource } from './http/http-source.ts';
import { JwtSource } from './jwt/jwt-source.ts';
import { OAuth2Source } from './oauth2/oauth2-source.ts';
import type { SourceDeps } from './source-deps.ts';
import type { SourceSettings } from './source-settings.ts';
import { StaticSource } from './static-source.ts';
import type { TokenSource } from './token-source.ts';

export type { SourceDeps } from './source-deps.ts';
export type { SourceSettings } from './source-settings.ts';

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
