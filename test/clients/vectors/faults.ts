import { ANSWERS, chunksOf, type Json } from '../answers.ts';
import { type Ask, type FaultVector, sse } from '../vector.ts';

const json = (value: unknown) => () => JSON.stringify(value);

/** The first chunks of the answer, then this. */
const begun =
  (...rest: readonly unknown[]) =>
  (_ask: Ask): string =>
    sse([...chunksOf(ANSWERS.text).slice(0, 3), ...rest]).replace('data: [DONE]\n\n', '');

const BEGUN_TEXT = ANSWERS.text.text.slice(0, 2).join('');

const error = (message: string, more: Json = {}) => ({
  error: { message, type: 'invalid_request_error', param: null, code: null, ...more },
});

const PAGE = '<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in first</body></html>';

const STATUSES: readonly FaultVector[] = [
  {
    name: 'fault-bad-request',
    quirks: [],
    status: 400,
    body: json(error('temperature must be below 2', { param: 'temperature', code: 'bad_value' })),
    expect: { status: 400, code: 'bad_value', says: /temperature must be below 2/ },
  },
  {
    name: 'fault-context-overflow',
    quirks: ['Q140'],
    status: 400,
    body: json(error('the prompt is too long: 9000 tokens')),
    expect: { status: 400, code: 'context_length_exceeded', says: /maximum context length/ },
  },
  {
    name: 'fault-content-filter',
    quirks: ['Q50'],
    status: 400,
    body: json(error('The response was filtered', { code: 'content_filter', innererror: { code: 'x' } })),
    expect: { status: 400, code: 'content_filter', says: /filtered/ },
  },
  {
    name: 'fault-detail-list',
    quirks: ['Q131'],
    status: 422,
    body: json({ detail: [{ loc: ['body', 'top_p'], msg: 'must be at most 1', type: 'value_error' }] }),
    expect: { status: 422, code: null, says: /must be at most 1/ },
  },
  {
    name: 'fault-model-not-found',
    quirks: ['Q129'],
    status: 404,
    body: json({ error: "model 'fault-model-not-found' not found, try pulling it first" }),
    expect: { status: 404, code: 'model_not_found', says: /not found|does not exist/ },
  },
  {
    name: 'fault-unauthorized',
    quirks: ['Q142'],
    status: 401,
    headers: { 'www-authenticate': 'Negotiate' },
    body: () => 'Unauthorized',
    expect: { status: 502, code: 'upstream_auth_error', says: /./ },
  },
  {
    name: 'fault-forbidden',
    quirks: ['Q142'],
    status: 403,
    body: () => PAGE,
    expect: { status: 502, code: 'upstream_auth_error', says: /./ },
  },
  {
    name: 'fault-rate-limit',
    quirks: ['Q143'],
    status: 429,
    headers: { 'retry-after': '1' },
    body: json(error('Too many requests')),
    expect: { status: 429, code: 'rate_limit_exceeded', says: /./ },
  },
  {
    name: 'fault-gateway-page',
    quirks: ['Q39', 'Q144'],
    status: 503,
    body: () => '<html><body><h1>503 Service Temporarily Unavailable</h1></body></html>',
    expect: { status: 503, code: null, says: /./ },
  },
];

const IN_200: readonly FaultVector[] = [
  {
    name: 'fault-login-page',
    quirks: ['Q38'],
    status: 200,
    body: () => PAGE,
    expect: { status: 502, code: 'upstream_invalid_response', says: /./ },
  },
  {
    name: 'fault-empty',
    quirks: ['Q29', 'Q40'],
    status: 200,
    body: () => '',
    expect: { status: 502, code: null, says: /./ },
  },
  {
    name: 'fault-error-as-answer',
    quirks: ['Q126'],
    status: 200,
    body: ({ stream }) => {
      const fault = error('temperature must be below 2', { code: 400 });
      return stream ? sse([fault]) : JSON.stringify(fault);
    },
    expect: { status: 400, code: null, says: /temperature must be below 2/ },
  },
  {
    name: 'fault-base-resp',
    quirks: ['Q134'],
    status: 200,
    body: json({ choices: null, base_resp: { status_code: 1002, status_msg: 'rate limit' } }),
    expect: { status: 429, code: 'rate_limit_exceeded', says: /./ },
  },
  {
    name: 'fault-envelope',
    quirks: ['Q42'],
    status: 200,
    body: json({ code: 1214, msg: 'messages must not be empty', data: null }),
    expect: { status: 400, code: '1214', says: /messages must not be empty/ },
  },
  {
    name: 'fault-only-nonsense',
    quirks: ['Q45'],
    status: 200,
    body: () => "data: {'choices': [}\n\ndata: {oops\n\n",
    expect: { status: 502, code: 'upstream_invalid_response', says: /./ },
  },
];

const AFTER_CONTENT: readonly FaultVector[] = [
  {
    name: 'fault-error-event',
    quirks: ['Q127'],
    status: 200,
    only: 'stream',
    body: begun(error('the GPU fell off the bus', { type: 'server_error' })),
    expect: { status: null, code: null, says: /GPU fell off the bus/, text: BEGUN_TEXT },
  },
  {
    name: 'fault-error-text',
    quirks: ['Q127', 'Q128'],
    status: 200,
    only: 'stream',
    body: begun({ error: 'the GPU fell off the bus', error_type: 'generation' }),
    expect: { status: null, code: null, says: /GPU fell off the bus/, text: BEGUN_TEXT },
  },
  {
    name: 'fault-end-without-finish',
    quirks: ['Q27'],
    status: 200,
    only: 'stream',
    body: begun(),
    expect: { status: null, code: 'upstream_disconnected', says: /./, text: BEGUN_TEXT },
  },
  {
    name: 'fault-reset',
    quirks: ['Q28'],
    status: 200,
    only: 'stream',
    isReset: true,
    body: (ask) => `${begun()(ask)}data: {"choices":[{"index":0,"del`,
    expect: { status: null, code: 'upstream_disconnected', says: /./, text: BEGUN_TEXT },
  },
];

export const FAULTS: readonly FaultVector[] = [...STATUSES, ...IN_200, ...AFTER_CONTENT];
