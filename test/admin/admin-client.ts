import assert from 'node:assert/strict';
import type { AdminSession } from '../../src/admin/api-types.ts';
import { ApiDescription, readReply } from '../openapi/api-description.ts';

const description = new ApiDescription();

/** Calls the admin API as a person with a key or a browser with a session does, and holds each reply to openapi.yaml. */
export class AdminClient {
  readonly #url: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string, headers: Readonly<Record<string, string>> = {}) {
    this.#url = url;
    this.#headers = headers;
  }

  /** Logs in with the key; what it returns has the cookie and the CSRF token. */
  static async logIn(url: string, key: string): Promise<AdminClient> {
    const response = await fetch(`${url}/admin/session`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ key }),
    });
    assert.equal(response.status, 200);
    const { csrf_token: csrf } = (await response.json()) as AdminSession;
    assert.ok(csrf !== null);
    return new AdminClient(url, { cookie: cookieOf(response), 'x-csrf-token': csrf });
  }

  get<Body>(path: string): Promise<Body> {
    return this.#call<Body>('get', path, undefined);
  }

  post<Body>(path: string, body: object = {}): Promise<Body> {
    return this.#call<Body>('post', path, body);
  }

  async status(
    method: string,
    path: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<number> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: { ...this.#headers, ...headers },
    });
    await response.body?.cancel();
    return response.status;
  }

  async #call<Body>(method: string, path: string, body: object | undefined): Promise<Body> {
    const reply = await readReply(
      fetch(`${this.#url}${path}`, {
        method: method.toUpperCase(),
        headers: { ...this.#headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    );
    const operation = description.operations.find(
      (one) => one.method === method && patternOf(one.path).test(path.replace(/\?.*/, '')),
    );
    assert.ok(operation !== undefined, `${method} ${path} is not described`);
    description.checkReply(operation, reply);
    assert.equal(reply.status, 200, reply.text);
    return JSON.parse(reply.text) as Body;
  }
}

/** The cookie that a response sets, as a browser sends it back. */
export function cookieOf(response: Response): string {
  const [pair = ''] = (response.headers.get('set-cookie') ?? '').split(';');
  assert.match(pair, /^tokenferry_admin_\d+=.+/);
  return pair;
}

function patternOf(template: string): RegExp {
  return new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`);
}
