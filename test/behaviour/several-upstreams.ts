import assert from 'node:assert/strict';
import { Gateway } from '../helpers/gateway.ts';

interface Upstream extends AsyncDisposable {
  readonly url: string;
}

/**
 * Runs a gateway before these upstreams, called `u0`, `u1`, … unless `entryOf` says otherwise, and ends it before
 * them. `entryOf` gives what the configuration says of each beside its endpoint.
 */
export async function withUpstreams<Kind extends Upstream>(
  upstreams: readonly Kind[],
  entryOf: (index: number) => object,
  config: object,
  use: (gateway: Gateway, upstreams: readonly Kind[]) => Promise<void>,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  for (const upstream of upstreams) stack.use(upstream);
  const entries = upstreams.map(({ url }, index) => ({
    name: `u${index}`,
    endpoint: url,
    ...entryOf(index),
  }));
  await using gateway = await Gateway.start({ ...config, upstreams: entries });
  await use(gateway, upstreams);
}

/** Asks for one chat, which must succeed; which upstream answered. */
export async function chat(gateway: Gateway): Promise<string | null> {
  const response = await gateway.post('/v1/chat/completions', {
    model: 'm',
    messages: [{ role: 'user', content: 'hello' }],
  });
  assert.equal(response.status, 200);
  await response.text();
  return response.headers.get('x-tokenferry-upstream');
}
