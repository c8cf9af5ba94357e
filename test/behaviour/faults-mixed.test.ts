import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorIn } from '../helpers/gateway.ts';
import { answering, httpAnswer, type RawScript, RawUpstream, resetAtOnce } from '../helpers/raw-upstream.ts';
import { ask, KINDS, LIMITS } from './fault-rig.ts';
import { withUpstreams } from './several-upstreams.ts';

const status = (code: number, headers: Readonly<Record<string, string>> = {}): RawScript =>
  answering(httpAnswer('{"error":{"message":"said so"}}', { status: code, headers }));

const CASES: readonly { what: string; upstreams: readonly RawScript[]; code: string; status: number }[] = [
  {
    what: "the client's own fault wins over everything before it",
    upstreams: [resetAtOnce, status(429), status(401), status(422)],
    status: 422,
    code: 'null',
  },
  {
    what: 'a rate limit wins over failures of transport',
    upstreams: [status(429, { 'retry-after': '5' }), resetAtOnce, status(500)],
    status: 429,
    code: 'rate_limit_exceeded',
  },
  {
    what: 'the last failure of transport wins over refused credentials',
    upstreams: [status(500), resetAtOnce, status(401)],
    status: 502,
    code: 'upstream_unreachable',
  },
  {
    what: 'of several failures of transport the last is told',
    upstreams: [resetAtOnce, status(503), status(504)],
    status: 504,
    code: 'upstream_error',
  },
  {
    what: 'a missing model wins over refused credentials',
    upstreams: [
      status(403),
      answering(
        httpAnswer('{"error":{"message":"The model does not exist","code":"model_not_found"}}', {
          status: 404,
        }),
      ),
      status(401),
    ],
    status: 404,
    code: 'model_not_found',
  },
];

for (const kind of KINDS) {
  for (const { what, upstreams, status: expected, code } of CASES) {
    test(`${kind}: ${what}`, async () => {
      const raws = await Promise.all(upstreams.map((script) => RawUpstream.start(script)));
      const entryOf = () => ({ sk: 'key-of-all', allow: ['m'], pace: 'off' });
      await withUpstreams(raws, entryOf, { ...LIMITS, dbtype: 'none' }, async (gateway) => {
        const { response, text } = await ask(gateway, kind, 'm');
        assert.equal(response.status, expected, text);
        assert.equal(String(errorIn(text).code), code);
        assert.equal(response.headers.get('x-tokenferry-attempts'), String(upstreams.length));
      });
    });
  }
}
