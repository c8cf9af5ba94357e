import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { ConfigError } from '../../config/config-error.ts';
import type { Draft } from '../../config/import/draft.ts';
import { importConfiguration, UnknownFile } from '../../config/import/import-configuration.ts';
import { describeFileError } from '../../config/load/interpolation.ts';
import { counted } from '../../lib/text/format.ts';
import { CONFIG_OPTION, CommandFailure, readArguments, UsageError, withUsage } from '../arguments.ts';
import { importRecords } from './import-records.ts';

const USAGE = `usage: tokenferry import FILE [--output config.yaml] [--force]
       tokenferry import --records DB [--config FILE]

  FILE       the configuration of openai-api-route, or config.yaml of LiteLLM's proxy; printed unless --output names a file.
             Comments name what was not taken over
  --records  openai-api-route's database: a SQLite file, a postgres:// URL or a "host=… dbname=…" text. Its records are
             copied into the database of the configuration, without keys, and without bodies unless record.content keeps them`;

/** `tokenferry import`: what another gateway has, as ours: its configuration, or its records. */
export async function importFile(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const text = { type: 'string' } as const;
    const { values, positionals } = readArguments(
      args,
      { ...CONFIG_OPTION, output: text, records: text, force: { type: 'boolean' } },
      1,
    );
    const [file] = positionals;
    if (values.records !== undefined) {
      if (file !== undefined) throw new UsageError('--records and FILE exclude each other.');
      return importRecords(values.records, values.config);
    }
    if (file === undefined) throw new UsageError('Name the configuration to import, or --records DB.');
    const { draft, yaml } = convert(file);
    if (values.output === undefined) {
      console.log(yaml);
      return 0;
    }
    write(values.output, yaml, values.force === true);
    report(values.output, draft);
    return 0;
  });
}

function convert(file: string): { readonly draft: Draft; readonly yaml: string } {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CommandFailure(2, `Cannot read ${file}: ${describeFileError(error)}.`, error);
  }
  try {
    return importConfiguration(file, text);
  } catch (error) {
    if (error instanceof UnknownFile || error instanceof ConfigError)
      throw new CommandFailure(2, error.message, error);
    throw error;
  }
}

/** Readable by its owner alone: it has the keys of the other file. */
function write(output: string, yaml: string, isForced: boolean): void {
  const path = resolve(output);
  if (existsSync(path) && !isForced) {
    throw new CommandFailure(
      2,
      `${output} exists. Name another file with --output, or overwrite it with --force.`,
    );
  }
  try {
    writeFileSync(path, yaml, { mode: 0o600 });
  } catch (error) {
    throw new CommandFailure(1, `Cannot write ${output}: ${describeFileError(error)}.`, error);
  }
}

function report(output: string, draft: Draft): void {
  const { notes } = draft;
  console.log(`${output} is written, with ${counted(notes.length, 'comment')} on what to look at:`);
  for (const note of notes) console.log(`  ${note.replaceAll('\n', '\n  ')}`);
  console.log(`Next: tokenferry check --config ${output}`);
}
