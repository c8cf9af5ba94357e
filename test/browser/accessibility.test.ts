import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { PageStage, VIEWS } from './page-stage.ts';

let stage: PageStage;

before(async () => {
  stage = await PageStage.start();
  await stage.makeTraffic();
});
after(() => stage.close());

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string }[];
}

async function seriousIn(page: Page): Promise<string[]> {
  // Evaluated by the debugger, which the content security policy does not bind.
  await page.evaluate(axe);
  const violations = (await page.evaluate('axe.run().then(({ violations }) => violations)')) as Violation[];
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(' | ')}`);
}

for (const colorScheme of ['light', 'dark'] as const) {
  for (const [locale, width] of [
    ['en-US', 1280],
    ['zh-CN', 390],
  ] as const) {
    test(`axe finds nothing serious in any view (${colorScheme}, ${locale}, ${width} px)`, async () => {
      const page = await stage.openPage({ colorScheme, locale, width });
      for (const view of VIEWS) {
        await stage.show(page, view);
        assert.deepEqual(await seriousIn(page), [], view);
        const isTooWide = await page.evaluate('document.documentElement.scrollWidth > innerWidth');
        assert.equal(isTooWide, false, `${view} scrolls sideways`);
      }
      assert.equal(await page.locator('html').getAttribute('lang'), locale === 'en-US' ? 'en' : 'zh-CN');
      await page.context().close();
    });
  }
}

test('the login is accessible too', async () => {
  const page = await stage.openLogin();
  assert.deepEqual(await seriousIn(page), []);
  await page.context().close();
});

test('the keyboard reaches every view, and a skip link the content', async () => {
  const page = await stage.openPage();
  await stage.show(page, '');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate('document.activeElement.className'), 'skip');
  for (const name of ['Tokens', 'Upstreams', 'Requests']) {
    const link = page.locator('nav').getByRole('link', { name });
    await link.focus();
    await page.keyboard.press('Enter');
    await page.locator('h1', { hasText: name }).waitFor();
  }
  await page.context().close();
});
