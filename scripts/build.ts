/** `npm run build`: dist/ with the compiled gateway and everything beside the code that it reads at run time. */
import { spawnSync } from 'node:child_process';
import { cpSync, globSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildPage } from './page-build.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');

/** The command `tokenferry` itself: checks the Node version before anything that an old one cannot read. */
const LAUNCHER = 'scripts/launcher.mjs';

function compile(): void {
  const tsc = spawnSync(join(root, 'node_modules/.bin/tsc'), ['-p', 'tsconfig.build.json'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (tsc.status !== 0) process.exit(1);
}

/** SQL, HTML, JSON and the like lie beside the code that reads them and keep their place. */
function copyAssets(): number {
  const assets = globSync('**/*', { cwd: join(root, 'src'), withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name).slice(join(root, 'src').length + 1));
  for (const asset of assets) cpSync(join(root, 'src', asset), join(dist, asset));
  return assets.length;
}

// Only what this script makes: dist/ui is made by Vite, which empties it first.
for (const made of globSync('dist/**/*.{js,map}', { cwd: root, exclude: ['dist/ui/**'] })) {
  rmSync(join(root, made));
}
compile();
if (!buildPage(root)) process.exit(1);
const assets = copyAssets();
cpSync(join(root, LAUNCHER), join(dist, 'tokenferry.mjs'));
console.log(`built ${dirname(join(dist, 'main.js'))} (${assets} other files copied)`);
