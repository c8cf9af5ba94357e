import { createParser } from 'eventsource-parser';
import { actionHeaders } from '../api/client.ts';
import { ROOT } from '../api/root.ts';

/** Who calls: the holder of a client key, or without one the page itself, as the client `playground`. */
export interface ClientCall {
  readonly baseUrl: string;
  /** For this visit and in memory only; empty: none was typed. */
  readonly key: string;
  readonly signal?: AbortSignal;
}

export interface StreamedChunk {
  readonly text: string;
  /** Since the request was sent. */
  readonly atMs: number;
}

/** A request as an application sends it. Throws an Error with the gateway's own message. */
export async function callGateway(call: ClientCall, path: string, body?: unknown): Promise<Response> {
  const isOwn = call.key === '';
  const headers: Record<string, string> = isOwn ? actionHeaders() : { authorization: `Bearer ${call.key}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const response = await fetch((isOwn ? `${ROOT}/admin/playground` : call.baseUrl) + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(call.signal === undefined ? {} : { signal: call.signal }),
  });
  if (!response.ok) throw new Error(`${response.status}: ${await messageOf(response)}`);
  return response;
}

/** Streams a chat; each delta of text or reasoning with its time. Resolves at the end of the stream. */
export async function streamChat(
  call: ClientCall,
  body: object,
  onChunk: (chunk: StreamedChunk) => void,
  onHeaders: (headers: Headers) => void,
): Promise<void> {
  const startedMs = performance.now();
  const response = await callGateway(call, '/chat/completions', { ...body, stream: true });
  onHeaders(response.headers);
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  let failure: string | null = null;
  const parser = createParser({
    onEvent({ data }) {
      if (data === '[DONE]') return;
      const event = JSON.parse(data) as {
        error?: { message?: string };
        choices?: { delta?: { content?: string | null; reasoning_content?: string | null } }[];
      };
      if (event.error !== undefined) failure = event.error.message ?? 'error';
      const delta = event.choices?.[0]?.delta;
      const text = delta?.content || delta?.reasoning_content || '';
      if (text !== '') onChunk({ text, atMs: performance.now() - startedMs });
    },
  });
  const decoder = new TextDecoder();
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    parser.feed(decoder.decode(piece.value, { stream: true }));
  }
  if (failure !== null) throw new Error(failure);
}

async function messageOf(response: Response): Promise<string> {
  const text = await response.text();
  try {
    return (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    return text.slice(0, 300);
  }
}
