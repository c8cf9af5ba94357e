import { FerryError } from '../errors.ts';
import type { ClientIdentity } from '../routing/client-identity.ts';
import type { ModelList } from '../routing/model-list.ts';
import { answerJson } from './answer.ts';
import type { RequestContext } from './request-context.ts';

/** Serves `GET /v1/models`. A body, as RAGFlow's Go side sends one, is ignored. */
export async function listModels(
  context: RequestContext,
  client: ClientIdentity,
  models: ModelList,
): Promise<void> {
  context.request.resume();
  const data = await models.listFor(client);
  answerJson(context, 200, JSON.stringify({ object: 'list', data }));
}

/** Serves `GET /v1/models/{id}`, for ids with slashes, colons and percent-encoded characters too. */
export async function showModel(
  context: RequestContext,
  client: ClientIdentity,
  models: ModelList,
): Promise<void> {
  context.request.resume();
  const raw = context.path.slice('/v1/models/'.length);
  const id = decode(raw);
  const data = await models.listFor(client);
  const model = data.find((candidate) => candidate.id === id || candidate.id === raw);
  if (model === undefined) {
    throw new FerryError('model_not_found', {
      message: `The model "${id.slice(0, 120)}" does not exist here. GET /v1/models lists the models that do.`,
      param: 'model',
    });
  }
  answerJson(context, 200, JSON.stringify(model));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
