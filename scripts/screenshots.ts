/**
 * `npm run screenshots`: each view of the page with live traffic, light and dark, in both languages, wide and narrow.
 * `-- now tokens`: only these views. `-- --animation`: the animation of README.md instead.
 */
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { PageStage, VIEWS } from '../test/browser/page-stage.ts';
import { findBrowser } from './browser.ts';
import { animatePage } from './page-animation.ts';
import { buildPage, isPageStale } from './page-build.ts';

/** Only the views that are named; none: all. */
const words = process.argv.slice(2);
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'coverage', 'screenshots');

if (findBrowser() === null) {
  console.error('There is no Chromium: npm run install:browser, or name one in CHROMIUM.');
  process.exit(1);
}
if (isPageStale(root) && !buildPage(root)) process.exit(1);
mkdirSync(folder, { recursive: true });
if (words.includes('--animation')) {
  const file = join(root, 'docs', 'images', 'page-stream.png');
  await animatePage(file);
  console.log(`${file}: ${Math.round(statSync(file).size / 1024)} KiB`);
  process.exit();
}
const stage = await PageStage.start();
try {
  await stage.makeTraffic();
  for (const colorScheme of ['light', 'dark'] as const) {
    for (const locale of ['en-US', 'zh-CN']) {
      for (const width of [1280, 390]) {
        const page = await stage.openPage({ colorScheme, locale, width });
        for (const view of VIEWS.filter((one) => words.length === 0 || words.includes(one || 'now'))) {
          await stage.show(page, view);
          const name = [view.replaceAll('/', '-') || 'now', locale, colorScheme, width].join('_');
          await page.screenshot({ path: join(folder, `${name}.png`) });
        }
        await page.context().close();
      }
    }
  }
  console.log(folder);
} finally {
  await stage.close();
}
