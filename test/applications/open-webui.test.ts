import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../helpers/free-port.ts';
import { KEY, MODEL, pythonProgram, say, testApplication, VECTORS_MODEL } from './application-run.ts';

const PROGRAM = pythonProgram('webui', 'open-webui');

/** Open WebUI's own API, as its page uses it. */
class Webui {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token = '') {
    this.#url = url;
    this.#token = token;
  }

  async json<Result>(path: string, body?: unknown): Promise<Result> {
    const response = await this.fetch(path, body);
    const text = await response.text();
    assert.equal(response.status, 200, `${path}: ${text}`);
    return JSON.parse(text) as Result;
  }

  fetch(path: string, body?: unknown): Promise<Response> {
    const isForm = body instanceof FormData;
    return fetch(`${this.#url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        authorization: `Bearer ${this.#token}`,
        ...(isForm || body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: isForm ? body : JSON.stringify(body) }),
    });
  }

  /** The text of a chat, whole or as its stream. */
  async chat(stream: boolean, members: object = {}): Promise<string> {
    const messages = [{ role: 'user', content: 'When does the ferry leave?' }];
    const body = { model: MODEL, stream, messages, ...members };
    const response = await this.fetch('/api/chat/completions', body);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    if (!stream) return JSON.parse(text).choices[0].message.content;
    const events = text.split('\n').flatMap((line) => /^data: (\{.*)$/.exec(line)?.[1] ?? []);
    return events.map((event) => JSON.parse(event).choices?.[0]?.delta?.content ?? '').join('');
  }
}

testApplication('Open WebUI lists models, chats, streams and answers from a document', PROGRAM, {
  answer: (body) => {
    const asked = JSON.stringify(body.messages);
    return say(asked.includes('pier seven') ? 'It leaves from pier seven.' : 'It leaves at noon.');
  },
  run: async ({ url, home, model, startServer, assertRenewals }) => {
    const port = await freePort();
    // The settings of docs/applications.md.
    const env = {
      OPENAI_API_BASE_URL: url,
      OPENAI_API_KEY: KEY,
      RAG_EMBEDDING_ENGINE: 'openai',
      RAG_OPENAI_API_BASE_URL: url,
      RAG_OPENAI_API_KEY: KEY,
      RAG_EMBEDDING_MODEL: VECTORS_MODEL,
      ENABLE_OLLAMA_API: 'false',
      OFFLINE_MODE: 'true',
      WEBUI_SECRET_KEY: 'secret-of-the-sessions',
      DATA_DIR: home,
    };
    await using server = await startServer({
      command: PROGRAM,
      args: ['serve', '--host', '127.0.0.1', '--port', String(port)],
      env,
      ready: `http://127.0.0.1:${port}/health`,
    });
    const visitor = new Webui(server.url);
    const user = { name: 'Ada', email: 'ada@example.com', password: 'a password of Ada' };
    const { token } = await visitor.json<{ token: string }>('/api/v1/auths/signup', user);
    const webui = new Webui(server.url, token);
    const { data } = await webui.json<{ data: readonly { readonly id: string }[] }>('/api/models');
    assert.ok(
      data.some(({ id }) => id === MODEL),
      JSON.stringify(data),
    );
    assert.equal(await webui.chat(false), 'It leaves at noon.');
    for (let turn = 0; turn < 3; turn += 1) assert.equal(await webui.chat(true), 'It leaves at noon.');
    const form = new FormData();
    const document = 'The ferry leaves from pier seven.\n\n'.repeat(60);
    form.append('file', new Blob([document], { type: 'text/plain' }), 'timetable.txt');
    const { id } = await webui.json<{ id: string }>(
      '/api/v1/files/?process=true&process_in_background=false',
      form,
    );
    for (let wait = 0; wait < 300; wait += 1) {
      const { status } = await webui.json<{ status: string }>(`/api/v1/files/${id}/process/status`);
      if (status === 'completed') break;
      assert.notEqual(status, 'failed', server.output());
      await sleep(200);
    }
    assert.ok(model.embedded.length > 0, server.output());
    const files = [{ type: 'file', id }];
    assert.equal(await webui.chat(true, { files }), 'It leaves from pier seven.');
    assertRenewals();
  },
});
