import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Secret } from '../secret.ts';
import { type Config, complete } from './config.ts';
import { ConfigError } from './config-error.ts';
import { configSchema } from './schema.ts';
import { parseYaml } from './yaml-file.ts';

export interface LoadedConfig {
  readonly config: Config;
  /** For people, each with its place. */
  readonly warnings: readonly string[];
  /** Every file that was read, absolute: the configuration and what it names. */
  readonly files: readonly string[];
  /** Everything in the configuration that must never be printed. */
  readonly secrets: readonly Secret[];
}

/** First form, to be replaced. */
export function loadConfig(file: string, _env: NodeJS.ProcessEnv): LoadedConfig {
  const yaml = parseYaml(readFileSync(file, 'utf8'), (value) => value);
  const parsed = configSchema.safeParse(yaml.root ?? {});
  if (!parsed.success) throw new ConfigError(file, [{ path: '', line: null, message: parsed.error.message }]);
  return { config: complete(parsed.data), warnings: [], files: [dirname(file)], secrets: [] };
}
