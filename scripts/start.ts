/** `npm start`: the gateway, after the page at /ui/ was built if it is missing or older than its source. */
import { fileURLToPath } from 'node:url';
import { buildPage, canBuildPage, isPageStale } from './page-build.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const [command] = process.argv.slice(2);
const isServed =
  command === undefined || command.startsWith('-') || command === 'serve' || command === 'demo';

if (isServed && canBuildPage(root) && isPageStale(root) && !buildPage(root)) {
  console.error('The page at /ui/ could not be built; the gateway starts without it. See: npm run build:ui');
}
await import('../src/main.ts');
