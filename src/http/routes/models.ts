import { FerryError } from '../../lib/errors/ferry-error.ts';
import { anthropicModel, anthropicModelPage } from '../../openai/models/anthropic-models.ts';
import { type ListedModel, readModelResponse } from '../../openai/models/models-response.ts';
import { type AttemptPolicy, callOf, callUpstream, readBody } from '../../routing/attempt-call.ts';

import type { ModelList } from '../../routing/model-list.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import { noSuchModel, type Router, refuseLongModelName } from '../../routing/router.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { sendJson } from '../response/json.ts';

/**
 * Serves `GET /v1/models`. A body, as RAGFlow's Go side sends one, is ignored. Throws when no model is known because the
 * upstreams cannot be asked: an empty list would say that there is none.
 */
export async function listModels(
  context: RequestContext,
  client: ClientIdentity,
  models: ModelList,
): Promise<void> {
  context.request.resume();
  const data = await models.listFor(client);
  const failure = data.length === 0 ? models.failureFor(client) : null;
  if (failure !== null) throw failure.withMessage(`The models cannot be listed now. ${failure.message}`);
  const list = isForAnthropic(context) ? anthropicModelPage(data, context.query) : { object: 'list', data };
  sendJson(context, 200, JSON.stringify(list));
}

/** Only clients of Anthropic's API send its version. */
function isForAnthropic({ headers }: RequestContext): boolean {
  return headers['anthropic-version'] !== undefined;
}

function sendModel(context: RequestContext, model: ListedModel): void {
  sendJson(context, 200, JSON.stringify(isForAnthropic(context) ? anthropicModel(model) : model));
}

/**
 * Serves `GET /v1/models/{id}` of a listed model, for ids with slashes, colons and percent-encoded characters too.
 * False: no list has it.
 */
export async function showListedModel(
  context: RequestContext,
  client: ClientIdentity,
  models: ModelList,
): Promise<boolean> {
  context.request.resume();
  const [id, raw] = idsIn(context);
  const data = await models.listFor(client);
  const listed = data.find((candidate) => candidate.id === id || candidate.id === raw);
  const model = listed ?? models.aliased(id, client);
  if (model === null) return false;
  sendModel(context, model);
  return true;
}

/** Clients wait for it as for a list. */
const TIMEOUT_MS = 5_000;

/**
 * Asks the upstreams that admit a model which no list has: many serve models that they do not list. Throws
 * `model_not_found` when none of them has it.
 */
export async function askForModel(
  context: RequestContext,
  client: ClientIdentity,
  { router, policy }: { readonly router: Router; readonly policy: AttemptPolicy },
): Promise<void> {
  const [id, raw] = idsIn(context);
  context.outcome.model = id;
  refuseLongModelName(id);
  const routed = context.routed(id, client);
  try {
    const failover = router.begin(routed);
    for (;;) {
      const attempt = await failover.next();
      try {
        const isRenamed = attempt.model !== id;
        attempt.path = `/v1/models/${isRenamed ? encodeURIComponent(attempt.model.toWellFormed()) : raw}`;
        const call = callOf(attempt, {
          method: 'GET',
          body: null,
          isJson: false,
          timeLimit: 'timeoutMs',
          maxMs: TIMEOUT_MS,
        });
        const response = await callUpstream(attempt, call, policy);
        const body = await readBody(attempt, response, policy.maxResponseBytes);
        const model = readModelResponse(body, policy.nowSeconds());
        if (model === null)
          throw new FerryError('model_not_found', { message: 'The response is not a model object.' });
        attempt.commit(response);
        attempt.finish(null);
        context.outcome.isKnownModel = router.served(routed);
        sendModel(context, { ...model, id });
        return;
      } catch (error) {
        await failover.failed(attempt, error, null);
      }
    }
  } catch (error) {
    if (!isUnknownModel(error)) throw error;
    const isInUpstreamsWords = error.kind === 'model_not_found' && error.upstreamStatus === 404;
    throw isInUpstreamsWords ? error : noSuchModel(id, { cause: error });
  }
}

/** Upstreams without this path respond in several ways. */
const UNKNOWN: ReadonlySet<number> = new Set([200, 400, 404, 405, 422, 501]);

function isUnknownModel(error: unknown): error is FerryError {
  if (!(error instanceof FerryError)) return false;
  return error.kind === 'model_not_found' || UNKNOWN.has(error.upstreamStatus ?? 0);
}

/** The id, and its form in the path. */
function idsIn({ path }: RequestContext): readonly [id: string, raw: string] {
  const raw = path.slice('/v1/models/'.length);
  try {
    return [decodeURIComponent(raw), raw];
  } catch {
    return [raw, raw];
  }
}
