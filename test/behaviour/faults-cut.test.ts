import { answering, chunkedHead, cutAfter, httpAnswer, httpChunk } from '../helpers/raw-upstream.ts';
import { type Outcome, testFault } from './fault-rig.ts';

const CUT: Outcome = {
  status: 502,
  code: 'upstream_disconnected',
  type: 'upstream_error',
  attempt: 'disconnected',
  upstreamStatus: 200,
  counts: 'yes',
  withinMs: 300,
};

const WHOLE = httpAnswer(
  '{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"never heard"}}]}',
);
const ROLE =
  chunkedHead() +
  httpChunk(
    'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
  );

for (const [how, isReset] of [
  ['FIN', false],
  ['RST', true],
] as const) {
  testFault(
    `a JSON body cut by ${how}`,
    { script: () => cutAfter(WHOLE, WHOLE.length - 40, isReset), kinds: ['chat', 'embeddings'] },
    CUT,
  );
  testFault(
    `headers and then ${how}`,
    {
      script: (kind) =>
        cutAfter(chunkedHead(kind === 'stream' ? 'text/event-stream' : 'application/json'), 500, isReset),
    },
    CUT,
  );
  testFault(
    `a stream cut by ${how} before content`,
    { script: () => cutAfter(ROLE, ROLE.length, isReset), kinds: ['stream'] },
    CUT,
  );
  testFault(
    `a stream cut by ${how} within its first event`,
    { script: () => cutAfter(ROLE, ROLE.length - 30, isReset), kinds: ['stream'] },
    CUT,
  );
}

testFault(
  'half a JSON document in a body of the right length',
  { script: () => answering(httpAnswer('{"id":"x","choices":[{"mess')) },
  CUT,
);
