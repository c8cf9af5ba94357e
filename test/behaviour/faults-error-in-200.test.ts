import { answering, chunkedHead, httpAnswer, httpChunk, type RawScript } from '../helpers/raw-upstream.ts';
import { type Kind, type Outcome, testFault } from './fault-rig.ts';

/** A 200 whose body is the error, or for streams whose first event is. */
const inside =
  (error: object) =>
  (kind: Kind): RawScript => {
    const body = JSON.stringify({ error });
    if (kind !== 'stream') return answering(httpAnswer(body));
    return answering(
      chunkedHead() + httpChunk(`data: ${body}\n\n`) + httpChunk('data: [DONE]\n\n') + httpChunk(''),
    );
  };

const BROKEN: Outcome = {
  status: 502,
  code: 'upstream_error',
  type: 'upstream_error',
  attempt: 'retryable_status',
  upstreamStatus: 200,
  attemptsAlone: 2,
  counts: 'yes',
  withinMs: 400,
};

testFault(
  'a failure of the upstream in a 200',
  { script: inside({ message: 'internal failure', type: 'server_error', code: 'internal_error' }) },
  BROKEN,
);

testFault(
  'a rate limit in a 200',
  {
    script: inside({ message: 'Rate limit reached', type: 'requests', code: 'rate_limit_exceeded' }),
    upstream: { pace: 'off' },
  },
  {
    ...BROKEN,
    status: 429,
    code: 'rate_limit_exceeded',
    type: 'rate_limit_error',
    attempt: 'rate_limited',
    attemptsAlone: 1,
    outcome: 'rate_limited',
    retryAfter: [1, 1],
    counts: 'no',
  },
);

testFault(
  'refused credentials in a 200',
  { script: inside({ message: 'invalid api key', code: 'invalid_api_key' }) },
  {
    ...BROKEN,
    code: 'upstream_auth_error',
    attempt: 'auth_rejected',
    attemptsAlone: 1,
    shouldRetry: 'false',
  },
);

testFault(
  'a prompt that is too long in a 200',
  {
    script: inside({ message: 'maximum context length is 8192 tokens', code: 'context_length_exceeded' }),
    kinds: ['chat', 'stream'],
  },
  {
    ...BROKEN,
    status: 400,
    code: 'context_length_exceeded',
    type: 'invalid_request_error',
    attempt: 'context_overflow',
    attemptsAlone: 1,
    outcome: 'client_error',
    nextCandidate: false,
    counts: 'no',
  },
);

testFault(
  'an unknown model in a 200',
  { script: inside({ message: 'The model does not exist', code: 'model_not_found' }) },
  {
    ...BROKEN,
    status: 404,
    code: 'model_not_found',
    type: 'not_found_error',
    attempt: 'model_not_found',
    attemptsAlone: 1,
    outcome: 'client_error',
    counts: 'no',
  },
);
