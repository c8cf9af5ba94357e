/**
 * `npm run install:applications`: other people's applications at exact versions, into the git-ignored `node_modules` of
 * `test/applications`. What is there already is left alone.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { once, runQuietly } from './python-environment.ts';

const folder = fileURLToPath(new URL('../test/applications', import.meta.url));
const lock = readFileSync(join(folder, 'package-lock.json'), 'utf8');
const npm = process.env.npm_execpath;
const [command, first] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []];
const took = await once(join(folder, 'node_modules', '.installed'), lock, () =>
  runQuietly(command, [...first, 'ci', '--no-audit', '--no-fund', '--ignore-scripts'], folder),
);
console.log(`applications for Node: ${took}`);
