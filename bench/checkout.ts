import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

export interface Checkout {
  readonly folder: string;
  remove(): Promise<void>;
}

/**
 * Another checkout of the repository: a folder, or a revision of git, which is checked out beside this one with its
 * packages. Throws when git does not know the revision.
 */
export async function checkoutOf(folderOrRevision: string): Promise<Checkout> {
  if (existsSync(folderOrRevision))
    return { folder: resolve(folderOrRevision), remove: () => Promise.resolve() };
  const folder = join(await mkdtemp(join(tmpdir(), 'tokenferry-bench-')), 'checkout');
  const git = (...args: string[]): void => {
    execFileSync('git', ['-C', root, ...args], { stdio: 'inherit' });
  };
  git('worktree', 'add', '--quiet', '--detach', folder, folderOrRevision);
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  return {
    folder,
    async remove() {
      git('worktree', 'remove', '--force', folder);
      await rm(join(folder, '..'), { recursive: true, force: true });
    },
  };
}
