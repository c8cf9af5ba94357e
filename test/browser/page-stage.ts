import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Browser, chromium, type Page } from 'playwright-core';
import { findBrowser } from '../../scripts/browser.ts';
import { Gateway } from '../helpers/gateway.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import { StandInModel } from '../helpers/stand-in-model.ts';
import { HANG_MS, until } from '../helpers/until.ts';

/** The views, as their addresses name them. */
export const VIEWS = [
  '',
  'tokens',
  'upstreams',
  'requests',
  'usage',
  'playground',
  'connect',
  'setup',
  'configuration',
] as const;
export type View = (typeof VIEWS)[number];

export const ADMIN_KEY = 'an-admin-key-for-tests';
export const CLIENT_KEY = 'a-client-key-for-tests';

/** Stored by a request, and to be shown as text. */
export const HOSTILE_TEXT =
  '<img src=x onerror="document.title=\'owned\'"><script>document.title="owned"</script>';

/** Resolves when `isDone` does to true; fails after `HANG_MS`. */
export async function eventually(isDone: () => Promise<boolean>, what: string): Promise<void> {
  const deadlineMs = performance.now() + HANG_MS;
  while (!(await isDone())) {
    assert.ok(performance.now() < deadlineMs, `never: ${what}`);
    await sleep(100);
  }
}

interface Look {
  readonly colorScheme?: 'light' | 'dark';
  readonly locale?: string;
  readonly width?: number;
}

interface Pace {
  readonly tokenLifeMs?: number;
  /** Between the words of the model's streams. */
  readonly wordDelayMs?: number;
  readonly reply?: string;
}

/** A gateway with a live issuer, a model that answers, one that fails and one that is away, and a browser that looks. */
export class PageStage {
  readonly gateway: Gateway;
  readonly issuer: ScriptedIssuer;
  readonly model: StandInModel;
  /** What pages wrote to the console as errors, and requests that left the gateway. */
  readonly complaints: string[] = [];
  readonly #failing: StandInModel;
  readonly #browser: Browser;

  private constructor(parts: {
    gateway: Gateway;
    issuer: ScriptedIssuer;
    model: StandInModel;
    failing: StandInModel;
    browser: Browser;
  }) {
    this.gateway = parts.gateway;
    this.issuer = parts.issuer;
    this.model = parts.model;
    this.#failing = parts.failing;
    this.#browser = parts.browser;
  }

  static async start(config: object = {}, pace: Pace = {}): Promise<PageStage> {
    const executablePath = findBrowser();
    assert.ok(executablePath !== null, 'There is no Chromium: npm run install:browser');
    const issuer = await ScriptedIssuer.start({ lifetimeMs: pace.tokenLifeMs ?? 60_000 });
    const model = await StandInModel.start({
      models: ['corp-chat', 'bge-m3'],
      wordDelayMs: pace.wordDelayMs ?? 5,
      ...(pace.reply === undefined ? {} : { reply: pace.reply }),
    });
    const failing = await StandInModel.start({
      intercept: (_request, response) => {
        response.writeHead(503, { 'content-type': 'application/json' });
        response.end('{"error":{"message":"The model is overloaded.","type":"server_error"}}');
        return true;
      },
    });
    const gateway = await Gateway.start({
      authorization: CLIENT_KEY,
      admin: { key: ADMIN_KEY },
      record: { content: 'all' },
      tokens: {
        corp: {
          type: 'oauth2',
          token_url: `${issuer.url}/token`,
          grant: 'client_credentials',
          client_id: 'app',
          client_secret: 'a-secret-of-the-issuer',
        },
      },
      upstreams: [
        { name: 'first', endpoint: failing.url, token: 'none', allow: ['corp-chat'] },
        { name: 'second', endpoint: model.url, token: 'corp', allow: ['corp-chat', 'bge-m3'] },
        { name: 'away', endpoint: 'http://127.0.0.1:1/v1', token: 'none', allow: ['away-chat'] },
      ],
      ...config,
    });
    // Chromium's sandbox needs rights that containers and root do not have.
    const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
    return new PageStage({ gateway, issuer, model, failing, browser });
  }

  /** A chat that fails over, a stream, embeddings, a failure and a text that is hostile to pages; all recorded. */
  async makeTraffic(): Promise<void> {
    const messages = [{ role: 'user', content: HOSTILE_TEXT }];
    const bodies: readonly (readonly [string, object])[] = [
      ['/v1/chat/completions', { model: 'corp-chat', messages }],
      ['/v1/chat/completions', { model: 'corp-chat', messages, stream: true }],
      ['/v1/embeddings', { model: 'bge-m3', input: ['a', 'b'] }],
      ['/v1/chat/completions', { model: 'away-chat', messages }],
      ['/v1/chat/completions', { model: HOSTILE_TEXT, messages }],
    ];
    for (const [path, body] of bodies) await (await this.call(path, body)).text();
    await until(() => this.gateway.rows().length >= bodies.length, 'the requests are recorded');
  }

  /** As an application. */
  call(path: string, body: object, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return this.gateway.post(path, body, { headers: { authorization: `Bearer ${CLIENT_KEY}`, ...headers } });
  }

  /** The admin API, as a script. */
  async admin<T>(path: string): Promise<T> {
    const response = await fetch(`${this.gateway.url}/admin/${path}`, {
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
    });
    assert.equal(response.status, 200, path);
    return (await response.json()) as T;
  }

  /** A new browser session, logged in, on the first view. */
  async openPage({ colorScheme = 'light', locale = 'en-US', width = 1280 }: Look = {}): Promise<Page> {
    const page = await this.openLogin({ colorScheme, locale, width });
    await page.locator('#admin-key').fill(ADMIN_KEY);
    await page.locator('button[type=submit]').click();
    await page.locator('nav').waitFor();
    return page;
  }

  async openLogin({ colorScheme = 'light', locale = 'en-US', width = 1280 }: Look = {}): Promise<Page> {
    const context = await this.#browser.newContext({
      viewport: { width, height: 900 },
      locale,
      colorScheme,
    });
    const page = await context.newPage();
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      // A 401 before the log-in is how the page learns that it needs a key.
      if (message.type() === 'error' && !message.text().includes('401')) this.complaints.push(message.text());
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(this.gateway.url) && !url.startsWith('blob:')) this.complaints.push(`asked ${url}`);
    });
    await page.goto(`${this.gateway.url}/ui/`);
    await page.locator('h1').first().waitFor({ state: 'attached' });
    return page;
  }

  /** Goes to a view by its address and waits until it shows its data. */
  async show(page: Page, view: View | `${View}?${string}`): Promise<void> {
    await page.goto(`${this.gateway.url}/ui/${view}`);
    await page.locator('main h1').waitFor({ state: 'attached' });
    await page.locator('.connection-live').waitFor();
    await page.locator('main .loading').first().waitFor({ state: 'detached' });
  }

  async close(): Promise<void> {
    await this.#browser.close();
    await this.gateway.close();
    await Promise.all([this.issuer.close(), this.model.close(), this.#failing.close()]);
  }
}
