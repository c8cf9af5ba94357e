import { spawnSync } from 'node:child_process';
import { existsSync, globSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** What the page in dist/ui is made of. */
const SOURCES = ['ui/**', 'src/admin/api-types.ts'];

/** Builds the page into dist/ui, whose files the gateway serves at /ui/. False: the build failed, and said why. */
export function buildPage(root: string): boolean {
  const vite = join(root, 'node_modules/vite/bin/vite.js');
  const built = spawnSync(
    process.execPath,
    [vite, 'build', '--config', 'ui/vite.config.ts', '--logLevel', 'warn'],
    {
      cwd: root,
      stdio: 'inherit',
    },
  );
  return built.status === 0;
}

/** Whether the page has to be built: it is missing, or older than a file that it is made of. */
export function isPageStale(root: string): boolean {
  const page = join(root, 'dist/ui/index.html');
  if (!existsSync(page)) return true;
  const builtMs = statSync(page).mtimeMs;
  return SOURCES.some((pattern) =>
    globSync(pattern, { cwd: root }).some((file) => statSync(join(root, file)).mtimeMs > builtMs),
  );
}

/** False for an installation without development packages, which has the page built. */
export function canBuildPage(root: string): boolean {
  return existsSync(join(root, 'node_modules/vite/bin/vite.js')) && existsSync(join(root, 'ui/index.html'));
}
