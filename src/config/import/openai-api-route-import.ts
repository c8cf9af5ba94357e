import { routeEndpoint } from '../load/openai-api-route-file.ts';
import type { FileMapping } from '../types/scalar.ts';
import { Draft } from './draft.ts';
import { ForeignSection, literal } from './foreign-section.ts';

/** The first comment of the file. */
export const ROUTE_HEAD = `From a configuration of openai-api-route. What differs is in docs/migrate.md; \`tokenferry check\` tests this file.
Secrets are as they were in that file; "\${NAME}" reads one from the environment, "\${file:/path}" from a file.
FEISHU_WEBHOOK and MATRIX_API in the environment go on to receive alerts.`;

/** A file of openai-api-route as one of ours. */
export function importRouteFile(root: FileMapping): Draft {
  const draft = new Draft();
  const file = new ForeignSection(root);
  for (const key of ['address', 'hostname'] as const) draft.set(key, literalOf(file.text(key)));
  draft.set('authorization', literalOf(file.text('authorization')));
  if (file.flag('noauth')) draft.set('noauth', true);
  for (const key of ['timeout', 'stream_timeout'] as const) draft.set(key, positive(file.number(key)));
  draft.set('lb_policy', file.text('lb_policy'));
  draft.set('dbtype', file.text('dbtype'));
  draft.set('dbaddr', literalOf(file.text('dbaddr')));
  if (file.text('dbtype') !== 'none') {
    draft.set('record', { content: 'none' });
    draft.note(
      ['record'],
      'openai-api-route recorded request and response bodies; `content: all` does so here, without secrets.\n' +
        '`tokenferry import --records DB` copies its records into the database of this file.',
    );
  }
  file.text('cliconfig');
  draft.set(
    'upstreams',
    file.list('upstreams').map((one, index) => upstreamOf(one, index, draft)),
  );
  for (const key of file.unread) draft.note([], notTaken(key));
  return draft;
}

type Value = ConstructorParameters<typeof ForeignSection>[0];

function upstreamOf(value: Value, index: number, draft: Draft): Record<string, unknown> {
  const path = ['upstreams', index] as const;
  const upstream = new ForeignSection(value);
  const type = upstream.text('type');
  const sk = upstream.text('sk');
  const written = upstream.text('endpoint');
  const endpoint = (type === 'replicate' ? null : routeEndpoint(written)) ?? written;
  const entries: readonly (readonly [string, unknown])[] = [
    ['type', type === 'openai' ? null : type],
    ['endpoint', literalOf(endpoint)],
    ['sk', literalOf(sk)],
    ['timeout', positive(upstream.number('timeout'))],
    ['stream_timeout', positive(upstream.number('stream_timeout'))],
    ['allow', listOf(upstream.texts('allow'))],
    ['deny', listOf(upstream.texts('deny'))],
    ['keep_header', upstream.flag('keep_header') || null],
    ['authorization', literalOf(upstream.text('authorization'))],
    ['noauth', upstream.flag('noauth') || null],
  ];
  upstream.text('url');
  const isReplicate = type === 'replicate';
  if (endpoint === null && !isReplicate)
    draft.note(path, 'Skipped until it has an endpoint; openai-api-route returned an error for it.');
  if (endpoint !== written) draft.note(path, 'Its endpoint had no path; openai-api-route called /v1 there.');
  if (sk === null)
    draft.note(
      path,
      'Skipped until it has a key. openai-api-route sent an empty one; `token: none` says that none is needed.',
    );
  for (const key of upstream.unread) draft.note(path, notTaken(key));
  return Object.fromEntries(entries.filter(([, one]) => one !== null));
}

function notTaken(key: string): string {
  return `Not taken over: ${key}. openai-api-route has no such key and ignored it.`;
}

function literalOf(text: string | null): string | null {
  return text === null ? null : literal(text);
}

function positive(value: number | null): number | null {
  return value !== null && value > 0 ? value : null;
}

function listOf(texts: readonly string[]): readonly string[] | null {
  return texts.length === 0 ? null : texts;
}
