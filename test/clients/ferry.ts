import { runService, type ServiceProcess } from '../helpers/run-service.ts';
import { ScriptedIssuer } from '../helpers/scripted-issuer.ts';
import type { Json } from './answers.ts';
import { QuirkUpstream } from './quirk-upstream.ts';
import { STREAM_VECTORS, WHOLE_VECTORS } from './vectors.ts';

/** What applications are given. */
export const CLIENT_KEY = 'key-of-the-clients';

/** Tokens end all the time while the clients read. Milliseconds. */
const TOKEN_LIFE_MS = 6_000;

/** One issuer, one upstream with all quirks behind one gateway, and the same upstream open to direct reading. */
export interface Ferry {
  /** Without `/v1`. */
  readonly gatewayUrl: string;
  /** Ends in `/v1`; any key is good there. */
  readonly directUrl: string;
  readonly upstream: QuirkUpstream;
  readonly service: ServiceProcess;
  close(): Promise<void>;
}

/** The vectors that need a profile get an upstream with that profile each; the last one takes all others. */
function upstreams(url: string, common: Json): Json[] {
  const profiles = new Map<string, string[]>();
  for (const { name, profile } of [...STREAM_VECTORS, ...WHOLE_VECTORS]) {
    if (profile === undefined) continue;
    const key = JSON.stringify(profile);
    profiles.set(key, [...(profiles.get(key) ?? []), name]);
  }
  const special = [...profiles].map(([profile, allow], position) => ({
    name: `special-${position}`,
    allow,
    profile: JSON.parse(profile) as Json,
  }));
  const names = ['canonical', 'choices', 'embed', 'rerank', 'fault'].map((start) => `${start}-*`);
  const rest = [...STREAM_VECTORS, ...WHOLE_VECTORS].filter(({ profile }) => profile === undefined);
  const plain = { name: 'plain', allow: [...names, ...rest.map(({ name }) => name)] };
  return [...special, { ...plain, profile: {} }].map((one) => ({
    ...one,
    endpoint: url,
    token: 'corp',
    // The vectors with a 429 send it for ever.
    pace: 'off',
    profile: { ...common, ...one.profile },
  }));
}

/** `profile`: members that the profiles of all upstreams have in common. */
export async function startFerry(profile: Json = {}): Promise<Ferry> {
  await using started = new AsyncDisposableStack();
  const issuer = started.use(await ScriptedIssuer.start({ lifetimeMs: TOKEN_LIFE_MS }));
  const upstream = started.use(await QuirkUpstream.start((token) => issuer.isLive(token)));
  const direct = started.use(await QuirkUpstream.start());
  const service = await runService({
    authorization: CLIENT_KEY,
    tokens: { corp: issuer.source },
    upstreams: upstreams(upstream.url, profile),
    retry: { same_upstream: 0 },
    dbtype: 'none',
  });
  started.defer(async () => void (await service.stop()));
  // A start that fails closes what was started; from here on that is the caller's.
  const all = started.move();
  return {
    gatewayUrl: service.url,
    directUrl: direct.url,
    upstream,
    service,
    close: () => all.disposeAsync(),
  };
}

/** Closes it if there is one: of a file of which no test is selected, Node 24 runs `after` without `before`. */
export async function closeFerry(ferry: Ferry | undefined): Promise<void> {
  await ferry?.close();
}
