import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError } from '../../src/config/config-error.ts';
import { type LoadedConfig, loadConfig } from '../../src/config/load/load-config.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** A directory with these files, one of them config.yaml; gone when `use` has returned. */
export function withFiles<T>(files: Readonly<Record<string, string>>, use: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'tokenferry-config-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    return use(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Loads a configuration from its text. */
export function load(
  text: string,
  env: Env = {},
  files: Readonly<Record<string, string>> = {},
): LoadedConfig {
  return withFiles({ ...files, 'config.yaml': text }, (directory) =>
    loadConfig(join(directory, 'config.yaml'), env),
  );
}

/** The error of a configuration that must not load. */
export function loadError(
  text: string,
  env: Env = {},
  files: Readonly<Record<string, string>> = {},
): ConfigError {
  try {
    load(text, env, files);
  } catch (error) {
    assert.ok(error instanceof ConfigError, `not a ConfigError: ${String(error)}`);
    return error;
  }
  assert.fail('the configuration loads');
}

/** `line path: message` of each problem. */
export function problemsOf(
  text: string,
  env: Env = {},
  files: Readonly<Record<string, string>> = {},
): string[] {
  return loadError(text, env, files).problems.map(
    ({ line, path, message }) => `${line ?? '-'} ${path}: ${message}`,
  );
}

/** The warnings without the name of the file. */
export function warningsOf(text: string, env: Env = {}): string[] {
  return load(text, env).warnings.map((warning) => warning.replace(/^\S*config\.yaml:?/, ''));
}

/** A configuration that is complete, for tests of one key. */
export const MINIMAL = `record: {}
authorization: client-key
upstreams:
  - { endpoint: "https://llm.example/v1", sk: upstream-key }
`;
