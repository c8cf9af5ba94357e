import { useEffect, useRef, useState } from 'preact/hooks';
import type { AdminModels, AdminStatus } from '../../../src/admin/api-types.ts';
import { useResource } from '../api/resource.ts';
import { ROOT } from '../api/root.ts';
import { useStatus } from '../api/status.ts';
import { baseUrlOf, ClientKey } from '../components/client-key.tsx';
import { CodeBlock } from '../components/copy.tsx';
import { Loaded, Notice } from '../components/states.tsx';
import { t } from '../i18n/language.ts';
import { clientKey } from '../lib/client-key.ts';
import { callLines } from '../lib/code-samples.ts';
import { formatDuration, formatNumber } from '../lib/format.ts';
import { callGateway, type StreamedChunk, streamChat } from '../lib/gateway-call.ts';
import { takeKept } from '../lib/replay.ts';

/** A chat and an embedding, called as an application calls them. */
export function PlaygroundView() {
  const status = useStatus();
  const models = useResource<AdminModels>('/admin/models');
  return (
    <>
      <h1>{t('viewPlayground')}</h1>
      <Loaded from={status}>
        {(data) => (
          <Loaded from={models}>
            {(list) => (
              <>
                <div class="columns">
                  <Chat status={data} models={list.models.map((model) => model.id)} />
                  <Similarity status={data} models={list.models.map((model) => model.id)} />
                </div>
                <ClientKey status={data} />
              </>
            )}
          </Loaded>
        )}
      </Loaded>
    </>
  );
}

interface PartProps {
  readonly status: AdminStatus;
  readonly models: readonly string[];
}

function Chat({ status, models }: PartProps) {
  const [replayed] = useState(takeKept);
  const [model, setModel] = useState(firstModel(replayed) ?? models[0] ?? '');
  const [prompt, setPrompt] = useState(lastPrompt(replayed) ?? t('samplePrompt'));
  const [chunks, setChunks] = useState<readonly StreamedChunk[]>([]);
  const [state, setState] = useState<'idle' | 'running' | 'done'>('idle');
  const [problem, setProblem] = useState<string | null>(null);
  const [served, setServed] = useState<Served | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  const messages = messagesOf(replayed, prompt);
  const send = async (): Promise<void> => {
    const controller = new AbortController();
    running.current = controller;
    setState('running');
    setProblem(null);
    setServed(null);
    setChunks([]);
    try {
      await streamChat(
        { baseUrl: baseUrlOf(status), key: clientKey.value, signal: controller.signal },
        { model, messages },
        (chunk) => setChunks((known) => [...known, chunk]),
        (headers) =>
          setServed({ id: headers.get('x-request-id'), upstream: headers.get('x-tokenferry-upstream') }),
      );
    } catch (error) {
      if (!controller.signal.aborted) setProblem(error instanceof Error ? error.message : String(error));
    }
    setState('done');
  };
  const code = callLines({ baseUrl: baseUrlOf(status), model, prompt });
  return (
    <section aria-labelledby="play-chat">
      <h2 id="play-chat">{t('chat')}</h2>
      <ModelField models={models} value={model} onChange={setModel} />
      <label>
        {t('message')}
        <textarea rows={3} value={prompt} onInput={(event) => setPrompt(event.currentTarget.value)} />
      </label>
      <p class="row">
        <button
          type="button"
          class="primary"
          disabled={state === 'running' || model === ''}
          onClick={() => void send()}
        >
          {t('send')}
        </button>
        {state === 'running' && (
          <button type="button" onClick={() => running.current?.abort()}>
            {t('stop')}
          </button>
        )}
      </p>
      {problem !== null && <Notice kind="fail">{problem}</Notice>}
      {(chunks.length > 0 || state === 'running') && (
        <>
          <div class="answer" aria-live="polite" aria-busy={state === 'running'}>
            {chunks.map((chunk) => chunk.text).join('')}
          </div>
          <Timing chunks={chunks} />
          {served?.id && (
            <p class="quiet">
              {served.upstream !== null && `${t('columnUpstream')}: ${served.upstream} · `}
              <a href={`${ROOT}/ui/requests/${encodeURIComponent(served.id)}`}>
                {t('requestTitle', { id: served.id })}
              </a>
            </p>
          )}
        </>
      )}
      <details>
        <summary>{t('codeOfCall')}</summary>
        {code.map(({ name, text }) => (
          <div key={name}>
            <h3>{name}</h3>
            <CodeBlock text={text} label={name} />
          </div>
        ))}
      </details>
    </section>
  );
}

/** What the response said about who served it. */
interface Served {
  readonly id: string | null;
  readonly upstream: string | null;
}

/** When each chunk came. */
function Timing({ chunks }: { readonly chunks: readonly StreamedChunk[] }) {
  const [first] = chunks;
  const last = chunks.at(-1);
  if (first === undefined || last === undefined) return null;
  const gaps = chunks.slice(1).map((chunk, at) => chunk.atMs - (chunks[at]?.atMs ?? 0));
  const longest = gaps.length === 0 ? 0 : Math.max(...gaps);
  return (
    <>
      <p class="quiet">
        {t('timing', {
          first: formatDuration(first.atMs),
          count: formatNumber(chunks.length),
          total: formatDuration(last.atMs),
          gap: formatDuration(longest),
        })}
      </p>
      <details>
        <summary>{t('eachChunk')}</summary>
        <ol class="chunks">
          {chunks.map((chunk, at) => (
            <li key={at}>
              <span class="number quiet">{formatNumber(chunk.atMs)} ms</span>{' '}
              <code>{JSON.stringify(chunk.text)}</code>
            </li>
          ))}
        </ol>
      </details>
    </>
  );
}

function Similarity({ status, models }: PartProps) {
  const [model, setModel] = useState(models.find((id) => /embed|bge|e5|vector/i.test(id)) ?? models[0] ?? '');
  const [left, setLeft] = useState(t('sampleLeft'));
  const [right, setRight] = useState(t('sampleRight'));
  const [result, setResult] = useState<{ readonly cosine: number; readonly dimensions: number } | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isBusy, setBusy] = useState(false);
  const compare = async (): Promise<void> => {
    setBusy(true);
    setProblem(null);
    setResult(null);
    try {
      const response = await callGateway(
        { baseUrl: baseUrlOf(status), key: clientKey.value },
        '/embeddings',
        { model, input: [left, right], encoding_format: 'float' },
      );
      const { data } = (await response.json()) as { data: { embedding: number[] }[] };
      const [a, b] = data.map((item) => item.embedding);
      if (a === undefined || b === undefined) throw new Error(t('noVectors'));
      setResult({ cosine: cosineOf(a, b), dimensions: a.length });
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
    setBusy(false);
  };
  return (
    <section aria-labelledby="play-embeddings">
      <h2 id="play-embeddings">{t('embeddings')}</h2>
      <ModelField models={models} value={model} onChange={setModel} />
      <label>
        {t('firstText')}
        <input value={left} onInput={(event) => setLeft(event.currentTarget.value)} />
      </label>
      <label>
        {t('secondText')}
        <input value={right} onInput={(event) => setRight(event.currentTarget.value)} />
      </label>
      <p>
        <button
          type="button"
          class="primary"
          disabled={isBusy || model === ''}
          onClick={() => void compare()}
        >
          {t('compare')}
        </button>
      </p>
      {problem !== null && <Notice kind="fail">{problem}</Notice>}
      {result !== null && (
        <Notice kind="ok">
          {t('similarity', {
            cosine: formatNumber(result.cosine, 4),
            dimensions: formatNumber(result.dimensions),
          })}
        </Notice>
      )}
    </section>
  );
}

function ModelField({
  models,
  value,
  onChange,
}: {
  readonly models: readonly string[];
  readonly value: string;
  readonly onChange: (model: string) => void;
}) {
  return (
    <label>
      {t('columnModel')}
      <input list="models" value={value} onInput={(event) => onChange(event.currentTarget.value)} />
      <datalist id="models">
        {models.map((model) => (
          <option key={model} value={model} />
        ))}
      </datalist>
    </label>
  );
}

function cosineOf(left: readonly number[], right: readonly number[]): number {
  let product = 0;
  let leftSquares = 0;
  let rightSquares = 0;
  for (const [at, value] of left.entries()) {
    const other = right[at] ?? 0;
    product += value * other;
    leftSquares += value * value;
    rightSquares += other * other;
  }
  return product / Math.sqrt(leftSquares * rightSquares);
}

interface ReplayedRequest {
  readonly model?: unknown;
  readonly messages?: unknown;
}

function parseReplayed(text: string | null): ReplayedRequest | null {
  if (text === null) return null;
  try {
    return JSON.parse(text) as ReplayedRequest;
  } catch {
    // Bodies are cut at record.max_body.
    return null;
  }
}

function firstModel(text: string | null): string | null {
  const model = parseReplayed(text)?.model;
  return typeof model === 'string' ? model : null;
}

function lastPrompt(text: string | null): string | null {
  const messages = parseReplayed(text)?.messages;
  if (!Array.isArray(messages)) return null;
  const content: unknown = (messages.at(-1) as { content?: unknown } | undefined)?.content;
  return typeof content === 'string' ? content : null;
}

/** The conversation that is replayed, its last message as it was edited. */
function messagesOf(text: string | null, prompt: string): readonly unknown[] {
  const messages = parseReplayed(text)?.messages;
  const before = Array.isArray(messages) ? messages.slice(0, -1) : [];
  return [...before, { role: 'user', content: prompt }];
}
