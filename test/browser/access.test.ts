import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ADMIN_KEY, PageStage } from './page-stage.ts';

let stage: PageStage;

before(async () => {
  stage = await PageStage.start();
});
after(() => stage.close());

test('a wrong key is refused in words, the right one opens the page, and logging out closes it', async () => {
  const page = await stage.openLogin();
  await page.locator('#admin-key').fill('wrong');
  await page.locator('button[type=submit]').click();
  await page.locator('.notice-fail').waitFor();
  await page.locator('#admin-key').fill(ADMIN_KEY);
  await page.locator('button[type=submit]').click();
  await page.locator('nav').waitFor();
  await page.reload();
  await page.locator('nav').waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.locator('#admin-key').waitFor();
  await page.reload();
  await page.locator('#admin-key').waitFor();
  await page.context().close();
});

test('the session is in a cookie that scripts cannot read, and the key is nowhere', async () => {
  const page = await stage.openPage();
  const [cookie] = await page.context().cookies();
  assert.equal(cookie?.httpOnly, true);
  assert.equal(cookie?.sameSite, 'Strict');
  assert.equal(await page.evaluate('document.cookie'), '');
  const stored = String(await page.evaluate('JSON.stringify([{...localStorage}, {...sessionStorage}])'));
  assert.ok(!stored.includes(ADMIN_KEY));
  await page.context().close();
});

test('a session that was there before the log-in is not the one after it', async () => {
  const page = await stage.openPage();
  const before = (await page.context().cookies())[0]?.value;
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.locator('#admin-key').fill(ADMIN_KEY);
  await page.locator('button[type=submit]').click();
  await page.locator('nav').waitFor();
  const [cookie] = await page.context().cookies();
  assert.notEqual(cookie?.value, before);
  const old = await fetch(`${stage.gateway.url}/admin/status`, {
    headers: { cookie: `${cookie?.name}=${before}` },
  });
  assert.equal(old.status, 401);
  await old.text();
  await page.context().close();
});

test('an action needs the token of the page: the cookie alone does nothing', async () => {
  const page = await stage.openPage();
  const status = await page.evaluate(
    "fetch('/admin/upstreams/second/pause', { method: 'POST' }).then((response) => response.status)",
  );
  assert.equal(status, 403);
  await page.context().close();
});

test('no inline script runs and no frame shows the page', async () => {
  const page = await stage.openPage();
  await page.evaluate(
    "document.body.append(Object.assign(document.createElement('script'), { textContent: 'document.title = 1' }))",
  );
  assert.notEqual(await page.title(), '1');
  const response = await fetch(`${stage.gateway.url}/ui/`);
  await response.text();
  const policy = response.headers.get('content-security-policy') ?? '';
  assert.ok(!policy.includes('unsafe'), policy);
  assert.match(policy, /frame-ancestors 'none'/);
  await page.context().close();
});
