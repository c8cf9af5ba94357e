import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type {
  AdminRequests,
  AdminStats,
  AdminStatus,
  AdminTokens,
  AdminUpstreams,
} from '../../src/admin/api-types.ts';
import { CLIENT_KEY, eventually, HOSTILE_TEXT, PageStage } from './page-stage.ts';

let stage: PageStage;
let page: Page;

before(async () => {
  stage = await PageStage.start();
  await stage.makeTraffic();
  page = await stage.openPage();
});
after(() => stage.close());

/** The text of an element, as it is seen. */
const textOf = (selector: string): Promise<string> =>
  page
    .locator(selector)
    .first()
    .textContent()
    .then((text) => text ?? '');

test('the first view says what is well, and shows requests as they finish', async () => {
  await stage.show(page, '');
  const { tokens } = await stage.admin<AdminTokens>('tokens');
  assert.equal(tokens.length, 1);
  assert.match(await textOf('section[aria-labelledby=now-tokens]'), /corp[\s\S]*left/);
  assert.match(await textOf('section[aria-labelledby=now-upstreams]'), /away[\s\S]*cooling down/);
  const rows = page.locator('section[aria-labelledby=now-requests] tbody tr');
  const count = await rows.count();
  await (await stage.call('/v1/embeddings', { model: 'bge-m3', input: 'live' })).text();
  await rows.nth(count).waitFor();
});

test('what does not work is said while the gateway still starts, with a link to where it is mended', async () => {
  await page.route('**/admin/status', async (route) => {
    const response = await route.fetch();
    const status = (await response.json()) as AdminStatus;
    const degraded: AdminStatus['degraded'] = [
      {
        part: 'token',
        name: 'partner',
        code: 'token_missing',
        facts: { failures: 2, error: 'invalid_client', uncallable: '*' },
        message: 'no token',
        advice_code: 'correct_credentials',
        advice: 'Correct its credentials.',
      },
    ];
    await route.fulfill({ response, json: { ...status, phase: 'starting', degraded } });
  });
  await stage.show(page, '');
  const verdict = page.locator('.verdict-fail');
  await verdict.getByText('Correct its credentials.').waitFor();
  assert.match((await verdict.textContent()) ?? '', /Starting/);
  await verdict.getByRole('link', { name: 'Tokens' }).click();
  await page.waitForURL(/tokens$/);
  await page.unroute('**/admin/status');
});

test('in Chinese what does not work is said in Chinese, the words of issuers and upstreams as they are', async () => {
  const chinese = await stage.openPage({ locale: 'zh-CN' });
  await stage.show(chinese, '');
  const verdict = chinese.locator('.verdict-fail');
  await verdict.waitFor();
  const { degraded } = await stage.admin<AdminStatus>('status');
  const text = (await verdict.textContent()) ?? '';
  assert.ok(degraded.length > 0);
  for (const { message, advice } of degraded) assert.ok(!text.includes(message) && !text.includes(advice));
  assert.match(text, /上游 away：连续失败 1 次，冷却中（无法连接）/);
  await stage.show(chinese, 'requests?model=away-chat');
  assert.match((await chinese.locator('tbody td.error').first().textContent()) ?? '', /^无法连接：/);
  await chinese.locator('tbody a').first().click();
  await chinese.locator('.time-line .badge', { hasText: '无法连接' }).first().waitFor();
  assert.match((await chinese.locator('.legend').first().textContent()) ?? '', /^建立连接 \d+ ms$/);
  await chinese.context().close();
});

test('an upstream whose token source has no token is not shown as up, and only such can be shown', async () => {
  await page.route('**/admin/tokens', async (route) => {
    const response = await route.fetch();
    const all = (await response.json()) as AdminTokens;
    const tokens = all.tokens.map((token) => ({ ...token, is_usable: false, state: 'misconfigured' }));
    await route.fulfill({ response, json: { ...all, tokens } });
  });
  await stage.show(page, 'upstreams?text=second');
  const card = page.locator('section[aria-labelledby=upstream-second]');
  await card.locator('.badge', { hasText: 'no token' }).waitFor();
  assert.equal(await page.locator('section.card').count(), 1);
  await page.getByLabel('only those that do not serve').check();
  assert.equal(await page.locator('section.card').count(), 1);
  await page.unroute('**/admin/tokens');
  await page.locator('section.card').waitFor({ state: 'detached' });
});

test('the bar of a token runs down and is full again after a renewal', async () => {
  await stage.show(page, 'tokens');
  const bar = page.getByRole('meter');
  const now = async (): Promise<number> => Number(await bar.getAttribute('aria-valuenow'));
  assert.equal(await bar.getAttribute('aria-valuemax'), '60');
  const first = await now();
  await eventually(async () => (await now()) < first, 'the bar runs down');
  const calls = stage.issuer.calls.length;
  await page.getByRole('button', { name: 'Renew now' }).click();
  await eventually(async () => (await now()) >= 58, 'the bar is full');
  assert.equal(stage.issuer.calls.length, calls + 1);
  await page.locator('.events li').first().waitFor();
  const { tokens } = await stage.admin<AdminTokens>('tokens');
  assert.match(await textOf('.facts'), new RegExp(`renewals${tokens[0]?.counters.acquired}`));
});

test('a token says when it was renewed last, and why', async () => {
  await stage.show(page, 'tokens');
  assert.match(await textOf('.last-renewal'), /Last renewal [\d:]+: new token \(.+\)/);
});

test('an upstream is paused, probed and resumed', async () => {
  await stage.show(page, 'upstreams');
  const card = page.locator('section[aria-labelledby=upstream-second]');
  await card.getByRole('button', { name: 'Pause' }).click();
  await card.getByRole('button', { name: 'Resume' }).waitFor();
  const paused = await stage.call('/v1/embeddings', { model: 'bge-m3', input: 'x' });
  assert.notEqual(paused.status, 200);
  await paused.text();
  const { upstreams } = await stage.admin<AdminUpstreams>('upstreams');
  assert.equal(upstreams.find(({ name }) => name === 'second')?.state, 'paused');
  await card.getByRole('button', { name: 'Resume' }).click();
  await card.getByRole('button', { name: 'Pause' }).waitFor();
  await card.getByRole('button', { name: 'Probe' }).click();
  await page.locator('.toasts .notice-ok').last().waitFor();
  const back = await stage.call('/v1/embeddings', { model: 'bge-m3', input: 'x' });
  assert.equal(back.status, 200);
  await back.text();
});

test('requests are found by outcome, by model and by id, and the address keeps the filters', async () => {
  await stage.show(page, 'requests');
  await page.getByLabel('errors only').check();
  await page.waitForURL(/errors=1/);
  await page.locator('tbody tr').first().waitFor();
  const { requests } = await stage.admin<AdminRequests>('requests?errors=1');
  assert.equal(await page.locator('tbody tr').count(), requests.length);
  assert.equal(await page.locator('tbody .badge-ok').count(), 0);
  await page.reload();
  await page.locator('tbody tr').first().waitFor();
  assert.equal(await page.locator('tbody tr').count(), requests.length);
  await page.goBack();
  await page.locator('tbody .badge-ok').first().waitFor();

  await stage.show(page, 'requests?model=away-chat');
  await page.locator('tbody tr').first().waitFor();
  assert.equal(await page.locator('tbody tr').count(), 1);
  assert.match(await textOf('tbody tr'), /away/);

  const [found] = requests;
  assert.ok(found);
  await page.getByRole('link', { name: 'Clear filters' }).click();
  await page.getByRole('searchbox').first().fill(found.id);
  await page.getByRole('button', { name: 'Search' }).click();
  await page.waitForURL(/text=/);
  await page.locator('tbody tr').first().waitFor();
  assert.equal(await page.locator('tbody tr').count(), 1);

  await stage.show(page, 'requests?range=hour&errors=1');
  await page.locator('tbody tr').first().waitFor();
  assert.equal(await page.locator('tbody tr').count(), requests.length);
  assert.equal(await page.locator('select[name=range]').inputValue(), 'hour');
});

test('on a phone each request is a few lines, its error among them', async () => {
  const phone = await stage.openPage({ width: 390 });
  await stage.show(phone, 'requests?model=away-chat');
  const error = phone.locator('tbody td.error').first();
  await error.waitFor();
  const box = await error.boundingBox();
  assert.ok(box !== null && box.x >= 0 && box.x + box.width <= 390 && box.width > 200);
  await phone.context().close();
});

test('one request shows its attempts on a time line, its error and its bodies', async () => {
  const { requests } = await stage.admin<AdminRequests>('requests?model=corp-chat');
  const failedOver = requests.find(({ attempts }) => attempts > 1);
  assert.ok(failedOver);
  await page.goto(`${stage.gateway.url}/ui/requests/${encodeURIComponent(failedOver.id)}`);
  const attempts = page.locator('.time-line > li');
  await attempts.first().waitFor();
  assert.equal(await attempts.count(), failedOver.attempts);
  assert.match((await attempts.first().textContent()) ?? '', /first[\s\S]*503/);
  assert.match((await attempts.last().textContent()) ?? '', /second[\s\S]*ok/);
  assert.ok((await page.locator('.part').count()) > 0);
  assert.ok((await textOf('.code')).includes('onerror'));
  assert.notEqual(await page.title(), 'owned');
});

test('text of a record that is HTML stays text', async () => {
  await stage.show(page, 'requests');
  await page.getByText('<img src=x', { exact: false }).first().waitFor();
  assert.equal(await page.locator('img[src=x]').count(), 0);
  assert.notEqual(await page.title(), 'owned');
  assert.ok(HOSTILE_TEXT.includes('onerror'));
});

test('usage equals the API, and is exported as CSV', async () => {
  await stage.show(page, 'usage?range=hour&by=upstream');
  const row = page.locator('.table tbody tr', { hasText: 'second' });
  await row.waitFor();
  const until_ms = Date.now() + 60_000;
  const stats = await stage.admin<AdminStats>(
    `stats?since=${until_ms - 3_600_000}&until=${until_ms}&step=60&by=upstream`,
  );
  const second = stats.series.find(({ key }) => key === 'second');
  assert.ok(second);
  assert.equal(await row.locator('td').first().textContent(), String(second.total.requests));
  assert.equal(await page.locator('th[aria-sort] button').textContent(), 'tokens ↓');
  await page.getByRole('button', { name: 'errors', exact: true }).click();
  const worst = stats.series.toSorted(
    (left, right) => right.total.errors / right.total.requests - left.total.errors / left.total.requests,
  );
  assert.equal(await page.locator('.table tbody th').first().textContent(), worst[0]?.key ?? 'none named');
  const sum = stats.series.reduce((all, { total }) => all + total.requests, 0);
  assert.equal(await page.locator('.table tfoot td').first().textContent(), String(sum));
  assert.ok((await page.locator('canvas').count()) >= 2);
  const waiting = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Export as CSV' }).click();
  const stream = await (await waiting).createReadStream();
  let csv = '';
  for await (const piece of stream) csv += String(piece);
  assert.match(csv, /^time,upstream,requests,errors,/);
  assert.match(csv, /,second,/);
});

test('the playground streams a chat and compares two texts, with a client key and without', async () => {
  await stage.show(page, 'playground');
  const chat = page.locator('section[aria-labelledby=play-chat]');
  await chat.getByLabel('Model').fill('corp-chat');
  await chat.getByRole('button', { name: 'Send' }).click();
  await chat.getByText(/First content after/).waitFor();
  assert.ok(((await chat.locator('.answer').textContent()) ?? '').length > 10);
  const served = chat.getByRole('link', { name: /^Request / });
  assert.match((await served.locator('..').textContent()) ?? '', /Upstream: second/);
  const vectors = page.locator('section[aria-labelledby=play-embeddings]');
  await vectors.getByLabel('Model').fill('bge-m3');
  await vectors.getByRole('button', { name: 'Compare' }).click();
  await vectors.getByText(/Cosine similarity/).waitFor();
  // The record follows the response, in batches.
  await eventually(
    async () => (await stage.admin<AdminRequests>('requests?client=playground')).requests.length > 0,
    'no record of the playground',
  );
  await page.getByLabel('Client key').fill(CLIENT_KEY);
  await vectors.getByRole('button', { name: 'Compare' }).click();
  await vectors.getByText(/Cosine similarity/).waitFor();
  await page.getByLabel('Client key').fill('wrong');
  await vectors.getByRole('button', { name: 'Compare' }).click();
  await vectors.getByText(/401/).waitFor();
});

test('the fields for an application have this gateway’s address, and its check runs its requests', async () => {
  await stage.show(page, 'connect');
  await page.getByRole('button', { name: 'Dify' }).click();
  await page.waitForURL(/application=Dify/);
  assert.match(await textOf('.fields'), new RegExp(`API endpoint URL${stage.gateway.url}/v1`));
  await page.getByLabel('Client key').fill(CLIENT_KEY);
  await page.locator('select').last().selectOption('corp-chat');
  await page.getByRole('button', { name: 'Check as Dify does' }).click();
  await page.locator('.notice-ok', { hasText: 'A stream' }).waitFor();
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await page.locator('.fields tr', { hasText: 'YOUR_KEY' }).getByRole('button').click();
  await eventually(
    async () => (await page.evaluate('navigator.clipboard.readText()')) === CLIENT_KEY,
    'the key that was typed is copied',
  );
});

test('usage of today begins at midnight', async () => {
  await stage.show(page, 'usage?range=today');
  const row = page.locator('.table tbody tr', { hasText: 'bge-m3' });
  await row.waitFor();
  assert.notEqual(await row.locator('td').first().textContent(), '0');
});

test('the configuration is shown without secrets, and reloaded', async () => {
  await stage.show(page, 'configuration');
  const yaml = await textOf('.code');
  assert.match(yaml, /token_url: http/);
  for (const secret of ['a-secret-of-the-issuer', CLIENT_KEY]) assert.ok(!yaml.includes(secret), secret);
  await page.getByRole('button', { name: 'Reload the configuration' }).click();
  await page.locator('.toasts .notice-ok').last().waitFor();
});

test('a view keeps its numbers and says that they are old while the gateway does not answer', async () => {
  const before = [...stage.complaints];
  await stage.show(page, 'upstreams');
  await page.context().setOffline(true);
  await page.getByText(/These numbers are old/).waitFor();
  await page.locator('section[aria-labelledby=upstream-second]').waitFor();
  await page.context().setOffline(false);
  await page.getByText(/These numbers are old/).waitFor({ state: 'detached' });
  stage.complaints.splice(0, Number.POSITIVE_INFINITY, ...before);
});

test('nothing was asked of another address, and nothing broke', () => {
  assert.deepEqual(
    stage.complaints.filter((text) => !/status of (?:401|404|5\d\d)/.test(text)),
    [],
  );
});
