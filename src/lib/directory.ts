import { mkdirSync, statSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Creates a directory and those above it, where they do not exist; throws the error of `mkdir`. In place of its option
 * `recursive`, which never returns where a directory cannot be created and the error says that the one above is missing, as
 * below /proc (Node 22 and 24).
 */
export function makeDirectorySync(path: string): void {
  let failure: unknown = null;
  for (const directory of directoriesTo(path)) {
    try {
      mkdirSync(directory);
      failure = null;
    } catch (error) {
      failure = error;
    }
  }
  // It exists, or another process created it meanwhile.
  if (failure !== null && statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw failure;
}

/** The same without blocking. `mode` is that of each directory that is created. */
export async function makeDirectory(path: string, mode?: number): Promise<void> {
  let failure: unknown = null;
  for (const directory of directoriesTo(path)) {
    try {
      await mkdir(directory, { mode });
      failure = null;
    } catch (error) {
      failure = error;
    }
  }
  if (failure === null) return;
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory() !== true) throw failure;
}

/** The directory and all above it, from the top down. */
function directoriesTo(path: string): string[] {
  const directory = resolve(path);
  const above = dirname(directory);
  return above === directory ? [directory] : [...directoriesTo(above), directory];
}
