import { answering, chunkedHead, httpAnswer, httpChunk } from '../helpers/raw-upstream.ts';
import { type Kind, type Outcome, testFault } from './fault-rig.ts';

const UNREADABLE: Outcome = {
  status: 502,
  code: 'upstream_invalid_response',
  type: 'upstream_error',
  attempt: 'invalid_response',
  upstreamStatus: 200,
  counts: 'yes',
  withinMs: 300,
};

const JUNK: Readonly<Record<string, { body: string; type?: string }>> = {
  'an empty body': { body: '' },
  'an empty event stream': { body: '', type: 'text/event-stream' },
  'an HTML page': {
    body: '<!doctype html><html><head><title>Sign in</title></head><body>…</body></html>',
    type: 'text/html',
  },
  'an HTML page that calls itself JSON': { body: '<html><body>Sign in</body></html>' },
  'an HTML page that calls itself an event stream': {
    body: '<html><body>Sign in</body></html>',
    type: 'text/event-stream',
  },
  'plain text': { body: 'upstream connect error', type: 'text/plain' },
  'JSON that is no answer': { body: '{}' },
  'JSON null': { body: 'null' },
};

for (const [what, { body, type }] of Object.entries(JUNK)) {
  testFault(
    `a 200 with ${what}`,
    {
      script: (kind: Kind) =>
        answering(
          type === 'text/event-stream' || kind === 'stream'
            ? chunkedHead(type ?? 'application/json') + (body === '' ? '' : httpChunk(body)) + httpChunk('')
            : httpAnswer(body, { headers: { 'content-type': type ?? 'application/json' } }),
        ),
    },
    UNREADABLE,
  );
}

testFault(
  'a response without choices',
  {
    script: () =>
      answering(httpAnswer('{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[]}')),
    kinds: ['chat', 'stream'],
  },
  UNREADABLE,
);

testFault(
  'another number of vectors than inputs',
  { script: () => answering(httpAnswer('{"object":"list","data":[],"model":"m"}')), kinds: ['embeddings'] },
  { ...UNREADABLE, code: 'upstream_mismatch', attempt: 'mismatch', counts: 'no' },
);
