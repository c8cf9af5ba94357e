import { emptyRerankResponse, readRerankRequest } from '../../openai/rerank/rerank.ts';
import type { Usage } from '../../openai/usage/usage.ts';
import type { ClientIdentity } from '../../routing/routed-request.ts';
import type { Router } from '../../routing/router.ts';
import type { AttemptPolicy } from '../../routing/services/attempt-policy.ts';
import { EmbeddingsService } from '../../routing/services/embeddings-service.ts';
import { RerankService } from '../../routing/services/rerank-service.ts';
import type { BodyReader } from '../body/body-reader.ts';
import type { RequestContext } from '../middleware/request-context.ts';
import { droppedHeaders, sendJson } from '../response/json.ts';
import { readModelRequest } from './chat.ts';

export interface EmbeddingsRouteSettings {
  readonly router: Router;
  readonly policy: AttemptPolicy;
  readonly bodies: BodyReader;
  readonly bodyLimitBytes: number;
}

/** Serves `POST /v1/embeddings`. */
export async function serveEmbeddings(
  context: RequestContext,
  client: ClientIdentity,
  settings: EmbeddingsRouteSettings,
): Promise<void> {
  const request = await readModelRequest(context, 'embeddings', settings);
  const service = new EmbeddingsService(request, settings.policy);
  const answer = await settings.router.run(context.routed(request.model, client), service);
  context.outcome.isUsageEstimated = answer.isUsageEstimated;
  finish(context, settings.router, answer);
}

/** Serves `POST /v1/rerank`. */
export async function serveRerank(
  context: RequestContext,
  client: ClientIdentity,
  settings: EmbeddingsRouteSettings,
): Promise<void> {
  const request = await readModelRequest(context, 'rerank', settings);
  const wanted = readRerankRequest(request.json);
  const routed = context.routed(request.model, client);
  const candidates = settings.router.candidates(routed);
  if (wanted.documents === 0) {
    sendJson(context, 200, emptyRerankResponse(settings.policy.newId(), request.model));
    return;
  }
  const service = new RerankService(request, wanted, settings.policy);
  finish(context, settings.router, await settings.router.run(routed, service, candidates));
}

function finish(
  context: RequestContext,
  router: Router,
  answer: { readonly body: Buffer; readonly usage: Usage | null; readonly dropped: readonly string[] },
): void {
  context.outcome.isKnownModel = context.outcome.model !== null && router.isKnownModel(context.outcome.model);
  context.outcome.tokens = answer.usage;
  context.outcome.firstTokenMs = context.elapsedMs;
  sendJson(context, 200, answer.body, droppedHeaders(answer.dropped));
}
