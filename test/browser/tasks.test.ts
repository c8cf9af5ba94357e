import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import type { AdminUpstreams } from '../../src/admin/api-types.ts';
import { AlertStandIn } from '../helpers/alert-stand-in.ts';
import { ODD_QUIRKS, StandInModel } from '../helpers/stand-in-model.ts';
import { PageStage } from './page-stage.ts';

let stage: PageStage;
let page: Page;
let odd: StandInModel;
let alerts: AlertStandIn;
let failedId: string;

before(async () => {
  odd = await StandInModel.start({ models: ['odd-chat'], quirks: ODD_QUIRKS });
  alerts = await AlertStandIn.start();
  stage = await PageStage.start({
    embeddings_cache: { size: '1MiB' },
    notify: [{ name: 'ops', type: 'webhook', url: alerts.url }],
    upstreams: [
      { name: 'odd', endpoint: odd.url, token: 'corp', allow: ['odd-chat'] },
      { name: 'away', endpoint: 'http://127.0.0.1:1/v1', token: 'none', allow: ['away-chat'] },
    ],
  });
  const messages = [{ role: 'user', content: 'hi' }];
  await (await stage.call('/v1/chat/completions', { model: 'odd-chat', messages, stream: true })).text();
  const failed = await stage.call('/v1/chat/completions', { model: 'away-chat', messages });
  await failed.text();
  failedId = failed.headers.get('x-request-id') ?? '';
  await stage.gateway.rowOf(failedId);
  page = await stage.openPage();
});
after(async () => {
  await stage.close();
  await Promise.all([odd.close(), alerts.close()]);
});

/** What an operator does, counted: each click, choice and text is a step. */
class Steps {
  count = 0;

  /** Every task begins on the first view. */
  static async begin(): Promise<Steps> {
    await stage.show(page, '');
    return new Steps();
  }

  async view(name: string): Promise<void> {
    await this.click(page.locator('nav').getByRole('link', { name }));
    await page.locator('main h1', { hasText: name }).waitFor();
  }

  async click(what: Locator): Promise<void> {
    this.count += 1;
    await what.click();
  }

  async choose(what: Locator, option: string): Promise<void> {
    this.count += 1;
    await what.selectOption(option);
  }

  async type(what: Locator, text: string): Promise<void> {
    this.count += 1;
    await what.fill(text);
    await what.press('Enter');
  }

  atMost(steps: number): void {
    assert.ok(this.count <= steps, `${this.count} steps`);
  }
}

const minuteOf = (at: Date): string => {
  const local = new Date(at.getTime() - at.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
};

test('why a request failed at a certain minute', async () => {
  const steps = await Steps.begin();
  await steps.view('Requests');
  await steps.click(page.getByText('More filters'));
  await steps.type(page.getByLabel('From'), minuteOf(new Date(Date.now() - 600_000)));
  await steps.click(page.getByLabel('errors only'));
  await page.waitForURL(/errors=1/);
  await steps.click(page.locator('tbody a').first());
  await page.locator('.time-line', { hasText: /away[\s\S]*unreachable[\s\S]*ECONNREFUSED/ }).waitFor();
  steps.atMost(5);
});

test('when the token is renewed, on the first view', async () => {
  const steps = await Steps.begin();
  await page.getByText(/left · renewal in \d+ s/).waitFor();
  steps.atMost(0);
});

test('what to type into RAGFlow', async () => {
  const steps = await Steps.begin();
  await steps.view('Connect');
  await page.locator('.fields tr', { hasText: 'Base url' }).getByText(`${stage.gateway.url}/v1`).waitFor();
  steps.atMost(1);
});

test('pausing an upstream', async () => {
  const steps = await Steps.begin();
  await steps.view('Upstreams');
  const card = page.locator('section[aria-labelledby=upstream-away]');
  await steps.click(card.getByRole('button', { name: 'Pause' }));
  await card.getByRole('button', { name: 'Resume' }).waitFor();
  const { upstreams } = await stage.admin<AdminUpstreams>('upstreams');
  assert.equal(upstreams.find(({ name }) => name === 'away')?.state, 'paused');
  await card.getByRole('button', { name: 'Resume' }).click();
  steps.atMost(2);
});

test('which client used most tokens yesterday', async () => {
  const steps = await Steps.begin();
  await steps.view('Usage');
  await steps.choose(page.getByLabel('Time'), 'yesterday');
  await steps.choose(page.locator('.filters select').last(), 'client');
  await page.waitForURL(/range=yesterday&by=client/);
  await page.getByText('No requests in this time.').waitFor();
  await page.getByLabel('Time').selectOption('today');
  await page.locator('.table tbody th', { hasText: 'key-1' }).waitFor();
  steps.atMost(3);
});

test('what an upstream does wrong', async () => {
  const steps = await Steps.begin();
  await steps.view('Upstreams');
  const card = page.locator('section[aria-labelledby=upstream-odd]');
  await steps.click(card.getByText(/What its responses needed/));
  await card.locator('code', { hasText: 'done_missing' }).waitFor();
  steps.atMost(2);
});

test('sending a failed request again from the playground', async () => {
  const steps = await Steps.begin();
  await steps.click(page.locator('tr', { hasText: 'away-chat' }).locator('a').first());
  await steps.click(page.getByRole('link', { name: 'Open in the playground' }));
  const chat = page.locator('section[aria-labelledby=play-chat]');
  assert.equal(await chat.getByLabel('Model').inputValue(), 'away-chat');
  await steps.click(chat.getByRole('button', { name: 'Send' }));
  await chat.locator('.notice-fail').waitFor();
  steps.atMost(3);
});

test('raising the log level, and testing an alert', async () => {
  const steps = await Steps.begin();
  await steps.view('Configuration');
  await steps.choose(page.getByLabel('Log level'), 'debug');
  await page.locator('.toasts', { hasText: 'The log level is debug' }).waitFor();
  await steps.click(page.getByRole('button', { name: 'Send a test' }));
  await page.locator('.toasts .notice-ok').nth(1).waitFor();
  steps.atMost(3);
});

test('what the embeddings cache has saved, and clearing it', async () => {
  for (const input of [['a', 'b'], ['b']])
    await (await stage.call('/v1/embeddings', { model: 'odd-chat', input })).text();
  const steps = await Steps.begin();
  await steps.view('Configuration');
  const line = page.locator('main p', { hasText: 'inputs found' });
  await line.filter({ hasText: /^2 vectors, .* of 1 MiB\. .* 1 of 3 inputs found \(33 %\)/ }).waitFor();
  await steps.click(line.getByRole('button', { name: 'Clear the cache' }));
  await page.locator('.toasts', { hasText: 'The embeddings cache is empty.' }).waitFor();
  await line.filter({ hasText: /^0 vectors, / }).waitFor();
  steps.atMost(2);
});

test('a request by the id in a client’s error message', async () => {
  const steps = await Steps.begin();
  await steps.view('Requests');
  await steps.type(page.getByRole('searchbox').first(), failedId);
  await page.waitForURL(/text=/);
  await steps.click(page.locator('tbody a').first());
  await page.locator('h1', { hasText: failedId }).waitFor();
  steps.atMost(3);
});
