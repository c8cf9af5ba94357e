import type { ServerResponse } from 'node:http';
import OpenAI from 'openai';
import { Gateway } from '../helpers/gateway.ts';
import { type ReceivedRequest, type RequestBody, StandInModel } from '../helpers/stand-in-model.ts';

/** What an upstream says to one request: a refusal with its status, or its message whole or in deltas. */
export type Says =
  | { readonly status: number; readonly body: unknown; readonly headers?: Readonly<Record<string, string>> }
  | { readonly message: object; readonly finish?: string; readonly without?: readonly string[] }
  | { readonly deltas: readonly object[]; readonly finish?: string };

/** An upstream that decides over each request by its body; null: the stand-in model responds. */
export type Upstream = (body: RequestBody, request: ReceivedRequest) => Says | null;

export interface UpstreamSpec {
  readonly says: Upstream;
  readonly profile?: object;
  /** Of the upstream's part of the configuration. */
  readonly entry?: object;
}

export interface Rig extends AsyncDisposable {
  readonly models: readonly StandInModel[];
  readonly gateway: Gateway;
  /** The SDK in front of the gateway. */
  readonly client: OpenAI;
  /** The SDK in front of the upstream itself. */
  readonly direct: OpenAI;
  /** The bodies that an upstream received, oldest first. */
  bodies(upstream?: number): readonly RequestBody[];
}

/** A gateway in front of upstreams `u0`, `u1`, … that serve the model `m`, and SDK clients without retries of their own. */
export async function startRig(
  upstreams: readonly (Upstream | UpstreamSpec)[],
  config: object = {},
): Promise<Rig> {
  const specs = upstreams.map((one) => (typeof one === 'function' ? { says: one } : one));
  const models = await Promise.all(
    specs.map(({ says }) =>
      StandInModel.start({
        reply: 'all is well',
        intercept: (request, response) => {
          const said = says(request.body, request);
          if (said !== null) respond(request.body, said, response);
          return said !== null;
        },
      }),
    ),
  );
  const gateway = await Gateway.start({
    retry: { backoff: '10ms' },
    ...config,
    upstreams: specs.map(({ profile, entry }, at) => ({
      name: `u${at}`,
      endpoint: models[at]?.url,
      sk: `key-${at}`,
      ...(profile !== undefined && { profile }),
      ...entry,
    })),
  });
  const clientOf = (baseURL: string): OpenAI => new OpenAI({ baseURL, apiKey: 'k', maxRetries: 0 });
  return {
    models,
    gateway,
    client: clientOf(`${gateway.url}/v1`),
    direct: clientOf(models[0]?.url ?? ''),
    bodies: (upstream = 0) => models[upstream]?.received.map(({ body }) => body) ?? [],
    [Symbol.asyncDispose]: async () => {
      await gateway.close();
      for (const model of models) await model.close();
    },
  };
}

const USAGE = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };

function respond(body: RequestBody, said: Says, response: ServerResponse): void {
  if ('status' in said) {
    const text = typeof said.body === 'string' ? said.body : JSON.stringify(said.body);
    response.writeHead(said.status, { 'content-type': 'application/json', ...said.headers });
    response.end(text);
    return;
  }
  const head = { id: 'c-1', created: 1_700_000_000, model: body.model };
  const finish = said.finish ?? 'stop';
  if ('message' in said) {
    const choice = { index: 0, message: said.message, finish_reason: finish, logprobs: null };
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ ...head, object: 'chat.completion', choices: [choice], usage: USAGE }));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const chunk = (delta: object, reason: string | null): string =>
    `data: ${JSON.stringify({
      ...head,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta, finish_reason: reason, logprobs: null }],
    })}\n\n`;
  response.end(
    [...said.deltas.map((delta) => chunk(delta, null)), chunk({}, finish), 'data: [DONE]\n\n'].join(''),
  );
}

/** OpenAI's form of a refusal. */
export function refusal(message: string, facts: object = {}, status = 400): Says {
  return {
    status,
    body: { error: { message, type: 'invalid_request_error', param: null, code: null, ...facts } },
  };
}

export const HI = [{ role: 'user' as const, content: 'Hi' }];

/** A chat with members that the SDK's types do not know. */
export function asks(body: object): OpenAI.ChatCompletionCreateParamsNonStreaming {
  return { model: 'm', messages: HI, ...body } as OpenAI.ChatCompletionCreateParamsNonStreaming;
}

/** The names in `x-tokenferry-dropped`; empty without that header. */
export function droppedOf(response: Response): readonly string[] {
  return response.headers.get('x-tokenferry-dropped')?.split(', ') ?? [];
}
