import type { ModelList } from '../../routing/model-list.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import { noSuchModel } from '../../routing/router.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { sendJson } from '../response/json.ts';

/** Serves `GET /v1/models`. A body, as RAGFlow's Go side sends one, is ignored. */
export async function listModels(
  context: RequestContext,
  client: ClientIdentity,
  models: ModelList,
): Promise<void> {
  context.request.resume();
  const data = await models.listFor(client);
  sendJson(context, 200, JSON.stringify({ object: 'list', data }));
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
  if (model === undefined) throw noSuchModel(id);
  sendJson(context, 200, JSON.stringify(model));
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
