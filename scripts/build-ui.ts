/** `npm run build:ui`: the page at /ui/, from ui/ into dist/ui. */
import { fileURLToPath } from 'node:url';
import { buildPage } from './page-build.ts';

if (buildPage(fileURLToPath(new URL('..', import.meta.url)))) console.log('built dist/ui');
else process.exitCode = 1;
