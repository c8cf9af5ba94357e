/**
 * An OAuth2 issuer whose tokens expire after five minutes, and a chat model that requires them, on port 9000. For trying
 * compose.yaml; TOKEN_LIFE_SECONDS and SECRET_FILE in the environment change its defaults. Needs Node and no package.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const PORT = Number(process.env.PORT ?? 9000);
const LIFE_SECONDS = Number(process.env.TOKEN_LIFE_SECONDS ?? 300);
const CLIENT = 'demo-app';
const SECRET = readFileSync(process.env.SECRET_FILE ?? '/run/secrets/client-secret', 'utf8').trim();
const MODEL = 'demo-chat';
const WORD_MS = 40;

/** When each token expires. */
const tokens = new Map();

const server = createServer((request, response) => {
  serve(request, response).catch(() => response.destroy());
});
server.listen(PORT, () => console.log(`issuer and model on port ${PORT}, tokens of ${LIFE_SECONDS} s`));
process.on('SIGTERM', () => server.close(() => process.exit(0)).closeAllConnections());

async function serve(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString('utf8');
  const route = `${request.method} ${request.url}`;
  if (route === 'GET /healthz') return json(response, 200, { status: 'ok' });
  if (route === 'POST /oauth2/token') return issue(request, response, new URLSearchParams(body));
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if ((tokens.get(token) ?? 0) <= Date.now()) {
    return json(response, 401, {
      error: { message: 'The token is unknown or expired.', code: 'invalid_token' },
    });
  }
  if (route === 'GET /v1/models')
    return json(response, 200, { object: 'list', data: [{ id: MODEL, object: 'model' }] });
  if (route === 'POST /v1/chat/completions') return chat(response, JSON.parse(body));
  return json(response, 404, { error: { message: 'There is no such path.' } });
}

function issue(request, response, form) {
  const [id, secret] = credentials(request.headers.authorization, form);
  if (id !== CLIENT || secret !== SECRET) return json(response, 401, { error: 'invalid_client' });
  const now = Date.now();
  for (const [token, expires] of tokens) if (expires <= now) tokens.delete(token);
  const token = randomUUID();
  tokens.set(token, now + LIFE_SECONDS * 1000);
  json(response, 200, { access_token: token, token_type: 'Bearer', expires_in: LIFE_SECONDS });
}

function credentials(header, form) {
  const basic = /^Basic (.+)$/i.exec(header ?? '')?.[1];
  if (basic === undefined) return [form.get('client_id'), form.get('client_secret')];
  return Buffer.from(basic, 'base64').toString('utf8').split(':').map(decodeURIComponent);
}

async function chat(response, { stream, messages }) {
  const words = `This is the demo model. There were ${messages?.length ?? 0} messages.`.split(' ');
  const reply = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: MODEL };
  const usage = { prompt_tokens: 8, completion_tokens: words.length, total_tokens: 8 + words.length };
  if (stream !== true) {
    const message = { role: 'assistant', content: words.join(' ') };
    const choices = [{ index: 0, message, finish_reason: 'stop' }];
    return json(response, 200, { ...reply, object: 'chat.completion', choices, usage });
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = (delta, finish_reason = null, more = {}) => {
    const choices = [{ index: 0, delta, finish_reason }];
    response.write(
      `data: ${JSON.stringify({ ...reply, object: 'chat.completion.chunk', choices, ...more })}\n\n`,
    );
  };
  send({ role: 'assistant', content: '' });
  for (const [index, word] of words.entries()) {
    send({ content: index === 0 ? word : ` ${word}` });
    await new Promise((resolve) => setTimeout(resolve, WORD_MS));
    if (response.destroyed) return;
  }
  send({}, 'stop', { usage });
  response.end('data: [DONE]\n\n');
}

function json(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}
