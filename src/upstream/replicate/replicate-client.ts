import type { IncomingHttpHeaders } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { endpointOf } from '../../endpoints.ts';
import { asFerryError, FerryError } from '../../lib/errors/ferry-error.ts';
import { isJsonObject, parseJson } from '../../lib/json/json-object.ts';
import { SseReader } from '../../lib/sse/sse-reader.ts';
import { AttemptTimer } from '../attempt-timer.ts';
import { type UpstreamCall, UpstreamClient, type UpstreamClientSettings } from '../client.ts';
import { ResponseHeaders, UpstreamResponse, UpstreamStatusError } from '../response.ts';
import type { ResponseBody } from '../transport/body.ts';
import { Connections } from '../transport/connections.ts';
import { Exchange } from '../transport/exchange.ts';
import { type Prediction, readPrediction } from './prediction.ts';
import { PredictionBody } from './prediction-body.ts';
import { type PredictionRequest, predictionRequest } from './prediction-request.ts';
import { PredictionWriter } from './prediction-writer.ts';
import { isStreamAllowed, pathBelow } from './stream-rule.ts';

/** A prediction is asked for again after this, then after half as long again each time, up to the maximum. */
const FIRST_POLL_MS = 250;
const MAX_POLL_MS = 2_000;
/** One poll, and the request to cancel. */
const SHORT_CALL_MS = 10_000;
/** So many polls in a row may fail before the prediction is given up. */
const MAX_FAILED_POLLS = 3;
/** How long a creation whose client has left may take until its prediction is known, and can be cancelled. */
const ABANDONED_CREATION_MS = 1_000;
/** Text of a language model; a longer prediction is none. */
const MAX_PREDICTION_BYTES = 16 * 1024 * 1024;
const MAX_EVENT_LENGTH = 4 * 1024 * 1024;

/** A prediction that was created, and the response to its creation. */
interface Created {
  readonly prediction: Prediction;
  readonly response: UpstreamResponse;
}

/**
 * An upstream with Replicate's API (replicate.com/docs/reference/http): chat and completions become predictions, and what
 * these put out becomes a response in OpenAI's form, so that everything behind it is as for every upstream. Replicate's own paths
 * are passed through.
 */
export class ReplicateClient extends UpstreamClient {
  readonly #settings: UpstreamClientSettings;
  /** By origin, of event streams beside the endpoint. */
  readonly #streamConnections = new Map<string, Connections>();

  constructor(settings: UpstreamClientSettings) {
    super(settings);
    this.#settings = settings;
  }

  override async call(call: UpstreamCall): Promise<UpstreamResponse> {
    const request = this.#requestOf(call);
    if (request === null) return super.call(call);
    const { prediction, response } = await this.#create(call, request);
    const body = new PredictionBody(call.signal, () => void this.#cancel(call, prediction));
    void this.#follow(call, request, prediction, body);
    const type = request.isStream ? 'text/event-stream' : 'application/json';
    const headers = new ResponseHeaders({ ...response.headers.all(), 'content-type': type });
    const made = new UpstreamResponse(200, headers, body.body);
    made.lease = response.lease;
    made.isReplayed = response.isReplayed;
    return made;
  }

  /** A token that the body of a response rejects is renewed for the next request: the prediction was paid for. */
  override async replay(call: UpstreamCall, rejected: UpstreamResponse): Promise<UpstreamResponse | null> {
    if (this.#generationOf(call.path) === null) return super.replay(call, rejected);
    this.reportRejected(rejected);
    return null;
  }

  /** An empty list once `GET /account` shows that the token is good: Replicate's own list has all public models. */
  override async fetchModels(timeoutMs: number, signal?: AbortSignal): Promise<UpstreamResponse> {
    const account = { method: 'GET', path: '/account', model: '', body: null } as const;
    const response = await this.probe(account, timeoutMs, signal);
    await readText(response.body);
    const body = new PredictionBody(signal ?? new AbortController().signal, () => undefined);
    body.end('{"object":"list","data":[]}');
    const made = new UpstreamResponse(200, response.headers, body.body);
    made.lease = response.lease;
    return made;
  }

  override async close(): Promise<void> {
    const streams = [...this.#streamConnections.values()];
    await Promise.all([super.close(), ...streams.map((connections) => connections.close())]);
  }

  /** Null: a path of Replicate's own, which is passed through. */
  #requestOf(call: UpstreamCall): PredictionRequest | null {
    const endpoint = this.#generationOf(call.path);
    if (endpoint === null) return null;
    const json = Buffer.isBuffer(call.body) ? parseJson(call.body.toString('utf8')) : undefined;
    return predictionRequest(endpoint, call.model, isJsonObject(json) ? json : {});
  }

  #generationOf(path: string): PredictionRequest['endpoint'] | null {
    const { pathKey, isGeneration, route } = endpointOf(`/v1${path}`);
    if (pathKey === 'chat' || pathKey === 'completions') return pathKey;
    if (!isGeneration && (pathKey === null || route === 'models')) return null;
    throw new FerryError('upstream_misconfigured', {
      message: `Upstream "${this.name}" (type: replicate) serves chat and completions only, not /v1${path}. Name its models in its allow list.`,
    });
  }

  /** Creates the prediction. If the client leaves meanwhile, it is cancelled as soon as it is known. */
  async #create(call: UpstreamCall, request: PredictionRequest): Promise<Created> {
    const { signal } = call;
    const controller = new AbortController();
    const creation = this.#requestPrediction(call, request, controller.signal);
    let onAbort = (): void => undefined;
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(asFerryError(signal.reason));
      signal.addEventListener('abort', onAbort);
      if (signal.aborted) onAbort();
    });
    try {
      return await Promise.race([creation, aborted]);
    } catch (error) {
      if (signal.aborted) void this.#abandon(call, creation, controller);
      throw error;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #abandon(call: UpstreamCall, creation: Promise<Created>, controller: AbortController): Promise<void> {
    const limit = setTimeout(() => controller.abort(call.signal.reason), ABANDONED_CREATION_MS);
    try {
      const { prediction } = await creation;
      if (prediction.state === 'running') await this.#cancel(call, prediction);
    } catch {
      // It was not created, or is not known.
    } finally {
      clearTimeout(limit);
    }
  }

  async #requestPrediction(
    call: UpstreamCall,
    request: PredictionRequest,
    signal: AbortSignal,
  ): Promise<Created> {
    const response = await super
      .call({
        ...call,
        path: request.path,
        query: '',
        clientHeaders: headersFrom(call, { 'content-type': 'application/json', accept: 'application/json' }),
        body: Buffer.from(request.body),
        isJson: true,
        signal,
      })
      .catch((error: unknown) => {
        throw isMissing(error) ? missingModel(error, call.model) : error;
      });
    const text = await readText(response.body);
    return { prediction: readPrediction(text, this.name), response };
  }

  /** Feeds the body from the prediction until it is over; never rejects. */
  async #follow(
    call: UpstreamCall,
    request: PredictionRequest,
    prediction: Prediction,
    body: PredictionBody,
  ): Promise<void> {
    const writer = new PredictionWriter(request, prediction.id);
    try {
      const isStreamed =
        request.isStream &&
        prediction.state === 'running' &&
        (await this.#followStream(call, request, prediction, writer, body));
      if (!isStreamed) await this.#followPolls(call, prediction, writer, body);
    } catch (error) {
      body.fail(error);
    }
  }

  /** False: the stream could not be opened, so that nothing was read. */
  async #followStream(
    call: UpstreamCall,
    request: PredictionRequest,
    prediction: Prediction,
    writer: PredictionWriter,
    body: PredictionBody,
  ): Promise<boolean> {
    const source = await this.#openStream(call, prediction.urls.stream);
    if (source === null) return false;
    const reader = new SseReader({ maxEventLength: MAX_EVENT_LENGTH, isPlainText: true });
    const decoder = new TextDecoder();
    try {
      for (;;) {
        const bytes = await source.next();
        call.timer.touch();
        const items = bytes === null ? reader.end() : reader.push(decoder.decode(bytes, { stream: true }));
        for (const item of items) {
          if (item.kind !== 'event') continue;
          if (item.name === 'output') {
            await body.write(writer.push(item.data));
            if (!writer.isStopped) continue;
            body.end(writer.end(null));
            await this.#cancel(call, prediction);
          } else if (item.name === 'error') body.end(writer.fail(streamError(item.data)));
          else if (item.name === 'done')
            await this.#finishStream(call, request, prediction, item.data, writer, body);
          if (body.isOver) return true;
        }
        if (body.isOver) return true;
        if (bytes === null || reader.hasOverflowed) throw this.#brokenStream();
      }
    } finally {
      if (!source.isSettled) source.destroy(new Error('the prediction is over'));
    }
  }

  async #finishStream(
    call: UpstreamCall,
    request: PredictionRequest,
    prediction: Prediction,
    data: string,
    writer: PredictionWriter,
    body: PredictionBody,
  ): Promise<void> {
    const done = parseJson(data);
    const reason = isJsonObject(done) ? done.reason : undefined;
    if (reason === 'canceled' || reason === 'error') {
      body.end(writer.fail(reason === 'error' ? 'The prediction failed.' : CANCELED));
      return;
    }
    // The stream does not tell how many tokens it was.
    const usage = request.wantsUsage ? await this.#poll(call, prediction).catch(() => null) : null;
    body.end(writer.end(usage?.usage ?? null));
  }

  #brokenStream(): FerryError {
    return new FerryError('disconnected', {
      message: `Upstream "${this.name}" closed the stream of its prediction before the end.`,
    });
  }

  /** Null: it is not allowed, or does not open; the prediction is polled then. */
  async #openStream(call: UpstreamCall, streamUrl: string | null): Promise<ResponseBody | null> {
    const { endpoint } = this.#settings.paths;
    const url = streamUrl === null ? null : URL.parse(streamUrl);
    if (url === null || !isStreamAllowed(url, endpoint)) return null;
    try {
      const path = pathBelow(streamUrl, endpoint);
      const response =
        path === null ? await this.#openForeignStream(call, url) : await this.#openOwnStream(call, path, url);
      if (response.ok) return response.body;
      response.body.destroy(new Error('no stream'));
      return null;
    } catch (error) {
      if (call.signal.aborted) throw error;
      return null;
    }
  }

  /** With the endpoint's credentials. */
  #openOwnStream(call: UpstreamCall, path: string, { search }: URL): Promise<UpstreamResponse> {
    return super.call({ ...this.#callAbout(call, 'GET', path, EVENTS), query: search.slice(1) });
  }

  /** Without credentials: the URL itself is the permission (replicate.com/docs/topics/predictions/streaming). */
  #openForeignStream(call: UpstreamCall, url: URL): Promise<UpstreamResponse> {
    const connections = this.#connectionsTo(url.origin);
    const exchange = new Exchange(this.name, connections, this.#callAbout(call, 'GET', '', EVENTS));
    const headers = ['accept', EVENTS, 'cache-control', 'no-store'];
    return exchange.send(url.pathname + url.search, { method: 'GET', headers, body: null });
  }

  #connectionsTo(origin: string): Connections {
    let connections = this.#streamConnections.get(origin);
    if (connections === undefined) {
      // The client certificate and the server's name belong to the endpoint.
      const { tls, ...connection } = this.#settings.connection;
      const trusted = tls === undefined ? {} : { tls: { ...tls, cert: null, key: null, servername: null } };
      connections = new Connections({ ...connection, ...trusted, origin });
      this.#streamConnections.set(origin, connections);
    }
    return connections;
  }

  /** Asks again and again until the prediction is over; its output grows meanwhile. */
  async #followPolls(
    call: UpstreamCall,
    first: Prediction,
    writer: PredictionWriter,
    body: PredictionBody,
  ): Promise<void> {
    let prediction = first;
    let sent = 0;
    let failures = 0;
    for (let waitMs = FIRST_POLL_MS; !body.isOver; waitMs = Math.min(MAX_POLL_MS, waitMs * 1.5)) {
      const { output, state, error, usage } = prediction;
      if (state === 'failed' || state === 'canceled') {
        body.end(writer.fail(state === 'canceled' ? CANCELED : (error ?? 'The prediction failed.')));
        return;
      }
      await body.write(writer.push(output.slice(sent)));
      sent = Math.max(sent, output.length);
      if (state === 'succeeded' || writer.isStopped) {
        body.end(writer.end(usage));
        if (state === 'running') await this.#cancel(call, prediction);
        return;
      }
      await sleep(waitMs, undefined, { signal: call.signal });
      try {
        prediction = await this.#poll(call, first);
        failures = 0;
        call.timer.touch();
      } catch (failure) {
        failures += 1;
        if (call.signal.aborted || failures >= MAX_FAILED_POLLS) throw this.#failedPoll(failure);
      }
    }
  }

  async #poll(call: UpstreamCall, { id, urls }: Prediction): Promise<Prediction> {
    const path = pathBelow(urls.get, this.#settings.paths.endpoint) ?? `/predictions/${id}`;
    return readPrediction(await this.#request(call, 'GET', path), this.name);
  }

  #failedPoll(error: unknown): FerryError {
    if (!(error instanceof UpstreamStatusError)) return asFerryError(error);
    const { status } = error.response;
    return new FerryError('retryable_status', {
      message: `Upstream "${this.name}" returned status ${status} when it was asked for its prediction.`,
      upstreamStatus: status,
    });
  }

  /** Ends a prediction that nobody reads; it would be paid for otherwise. Never rejects. */
  async #cancel(call: UpstreamCall, { id, urls }: Prediction): Promise<void> {
    const path = pathBelow(urls.cancel, this.#settings.paths.endpoint) ?? `/predictions/${id}/cancel`;
    const lasting = { ...call, signal: new AbortController().signal };
    // A failure: it is over, or ends by itself.
    await this.#request(lasting, 'POST', path).catch(() => undefined);
  }

  /** A short request about a prediction; resolves with the response's text. */
  async #request(call: UpstreamCall, method: string, path: string): Promise<string> {
    const request = this.#callAbout(call, method, path, JSON_TYPE);
    try {
      return await readText((await super.call({ ...request, headersTimeoutMs: SHORT_CALL_MS })).body);
    } finally {
      request.timer.clear();
    }
  }

  /** A request about a prediction within `call`, whose own limit goes on meanwhile; it has none itself. */
  #callAbout(call: UpstreamCall, method: string, path: string, accept: string): UpstreamCall {
    const controller = new AbortController();
    return {
      ...call,
      method,
      path,
      query: '',
      clientHeaders: headersFrom(call, { accept }),
      body: null,
      isJson: false,
      signal: AbortSignal.any([call.signal, controller.signal]),
      timer: new AttemptTimer((error) => controller.abort(error)),
      headersTimeoutMs: 0,
      headersTimeoutKey: null,
      tokenWaitMs: Math.min(call.tokenWaitMs, SHORT_CALL_MS),
      tokenWaitedMs: 0,
    };
  }
}

const EVENTS = 'text/event-stream';
const JSON_TYPE = 'application/json';
const CANCELED = 'The prediction was canceled.';

/** Of the client's headers all but those of its body and of what it accepts. */
function headersFrom(call: UpstreamCall, ours: IncomingHttpHeaders): IncomingHttpHeaders {
  const {
    'content-type': _type,
    'content-encoding': _encoding,
    accept: _accept,
    ...others
  } = call.clientHeaders;
  return { ...others, ...ours };
}

async function readText(body: ResponseBody): Promise<string> {
  return (await body.readAll(MAX_PREDICTION_BYTES)).toString('utf8');
}

/** The text of an `error` event: plain, or a JSON object with `detail`. */
function streamError(data: string): string {
  const json = parseJson(data);
  const detail = isJsonObject(json) ? json.detail : undefined;
  return typeof detail === 'string' && detail !== '' ? detail : data || 'The prediction failed.';
}

function isMissing(error: unknown): error is UpstreamStatusError {
  return error instanceof UpstreamStatusError && error.response.status === 404;
}

/** The path of a creation is the model's, so a 404 is about the model: "The requested resource could not be found." */
function missingModel({ response }: UpstreamStatusError, model: string): UpstreamStatusError {
  const error = { message: `The model ${model} does not exist.`, code: 'model_not_found' };
  return new UpstreamStatusError(response, JSON.stringify({ error }));
}
