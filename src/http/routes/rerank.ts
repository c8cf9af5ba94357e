import { endpointOf } from '../../endpoints.ts';
import { emptyRerankResponse, readRerankRequest, readRerankResponse } from '../../openai/rerank/rerank.ts';
import { modelFacts } from '../../openai/response-facts.ts';
import { adaptTo, callOf, callUpstream, readBody, reportRepair } from '../../routing/attempt-call.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import { readModelRequest } from '../body/body-reader.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { unknownPath } from '../response/errors.ts';
import { droppedHeaders, sendJson } from '../response/json.ts';
import type { ModelRouteSettings } from './chat.ts';

/** Serves `POST /v1/rerank` (Jina's and Cohere's convention). */
export async function serveRerank(
  context: RequestContext,
  client: ClientIdentity,
  settings: ModelRouteSettings,
): Promise<void> {
  const { router, policy } = settings;
  const request = await readModelRequest(context, 'rerank', settings);
  const { query, documents } = request.json;
  // A chat that was posted to the base URL itself.
  if (query === undefined && documents === undefined && !/rerank\/*$/.test(context.typedPath))
    throw unknownPath(context);
  const wanted = readRerankRequest(request.json);
  const routed = context.routed(request.model, client);
  const failover = router.begin(routed);
  if (wanted.documents === 0) {
    sendJson(context, 200, emptyRerankResponse(policy.newId(), request.model));
    return;
  }
  for (;;) {
    const attempt = await failover.next();
    try {
      const { body, dropped } = adaptTo(attempt, request);
      const { timeLimit } = endpointOf(context.path);
      const response = await callUpstream(attempt, callOf(attempt, { body, timeLimit }), policy);
      const ranking = readRerankResponse(await readBody(attempt, response, policy.maxResponseBytes), {
        request: wanted,
        requestedModel: request.model,
        replyModel: policy.replyModel,
        newId: policy.newId,
        scrub: policy.scrub,
        onRepair: (repair) => reportRepair(attempt, repair, policy),
        isRetryable: policy.isRetryable,
      });
      attempt.commit(response);
      attempt.finish(null);
      context.outcome.tokens = ranking.usage;
      attempt.spent(ranking.usage);
      if (attempt.trace !== null) attempt.trace.response = modelFacts(ranking.upstreamModel);
      context.outcome.firstTokenMs = context.elapsedMs;
      context.outcome.isKnownModel = router.served(routed);
      sendJson(context, 200, ranking.body, droppedHeaders(dropped));
      return;
    } catch (error) {
      await failover.failed(attempt, error, request);
    }
  }
}
