import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TryConfiguration } from '../admin/admin-parts.ts';
import { loadConfig } from '../config/load/load-config.ts';
import { startService } from '../gateway/server.ts';
import { systemClock } from '../lib/clock.ts';
import type { RequestRecord } from '../lib/request-record.ts';
import type { TokenStatus } from '../tokens/manager/token-status.ts';
import { DemoIssuer } from './issuer.ts';
import { CHAT_MODELS, DemoModel, EMBEDDING_MODEL } from './model.ts';
import { makeTraffic } from './traffic.ts';

/** The same at every start, so that a configured application keeps working. Loopback only. */
const DEMO_KEY = 'sk-tokenferry-demo';

/** The client of the demo's own requests, which the screen leaves out. */
export const TRAFFIC_CLIENT = 'demo-traffic';
const TRAFFIC_KEY = 'sk-tokenferry-demo-traffic';

const CLIENT_ID = 'demo-app';
const CLIENT_SECRET = 'demo-app-secret';

interface DemoOptions {
  /** Where the gateway listens on 127.0.0.1; another free port when this one is in use. */
  readonly port: number;
  readonly tokenLifetimeMs: number;
  /** Called with the serial (from 1) of each token that is issued. */
  readonly onIssue: (serial: number) => void;
  /** True: a made-up application sends requests, so that the page has something to show. */
  readonly hasTraffic?: boolean;
  /** Tries the configuration that the set-up of the page writes. */
  readonly tryConfiguration?: TryConfiguration;
  /** Gets the records of finished requests, within 100 ms. */
  readonly onRecords?: (records: readonly RequestRecord[]) => void;
}

/** Issuer, model and gateway, all on 127.0.0.1 and in this process. */
export interface Demo {
  /** Without `/v1`. */
  readonly url: string;
  /** Of the page, which needs no key on this machine. */
  readonly pageUrl: string;
  readonly key: string;
  readonly models: readonly string[];
  /** The state of the gateway's token. */
  token(): TokenStatus | undefined;
  /** Stops everything and removes the records. */
  close(): Promise<void>;
}

export async function startDemo(options: DemoOptions): Promise<Demo> {
  const issuer = await DemoIssuer.start({
    clientId: CLIENT_ID,
    clientSecret: CLIENT_SECRET,
    lifetimeMs: options.tokenLifetimeMs,
    clock: systemClock,
    onIssue: options.onIssue,
  });
  const model = await DemoModel.start({ issuer, tokenLifetimeMs: options.tokenLifetimeMs });
  const folder = await mkdtemp(join(tmpdir(), 'tokenferry-demo-'));
  const closeServers = async (): Promise<void> => {
    await Promise.all([issuer.close(), model.close()]);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const port = await availablePort(options.port);
    const file = join(folder, 'config.yaml');
    // JSON is YAML.
    await writeFile(file, JSON.stringify(demoConfig(port, issuer, model, folder), null, 2), { mode: 0o600 });
    // The log goes to standard error, separate from the output of the demo.
    const service = await startService(loadConfig(file, {}), {
      logDescriptor: 2,
      ...(options.tryConfiguration === undefined ? {} : { tryConfiguration: options.tryConfiguration }),
      ...(options.onRecords === undefined ? {} : { onRecords: options.onRecords }),
    });
    const url = `http://127.0.0.1:${port}`;
    const stopping = new AbortController();
    const traffic = options.hasTraffic === true ? makeTraffic(url, TRAFFIC_KEY, stopping.signal) : null;
    return {
      url,
      pageUrl: `${url}/ui/`,
      key: DEMO_KEY,
      models: [...CHAT_MODELS, EMBEDDING_MODEL],
      token: () => service.status().tokens[0],
      async close() {
        stopping.abort();
        await traffic;
        await service.close();
        await closeServers();
      },
    };
  } catch (error) {
    await closeServers();
    throw error;
  }
}

/** The shortest useful configuration, with the keys that a user would write. */
function demoConfig(port: number, issuer: DemoIssuer, model: DemoModel, folder: string): object {
  return {
    address: `127.0.0.1:${port}`,
    authorization: DEMO_KEY,
    clients: [{ name: TRAFFIC_CLIENT, key: TRAFFIC_KEY }],
    record: { content: 'all' },
    tokens: {
      demo: {
        type: 'oauth2',
        token_url: issuer.tokenUrl,
        grant: 'client_credentials',
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
      },
    },
    upstreams: [
      { name: 'demo', endpoint: model.endpoint, token: 'demo', allow: [...CHAT_MODELS, EMBEDDING_MODEL] },
    ],
    dbtype: 'sqlite',
    dbaddr: join(folder, 'db.sqlite'),
    log: { level: 'warn', format: 'text' },
  };
}

/** `wanted` when it is free, else another free port. */
async function availablePort(wanted: number): Promise<number> {
  for (const port of [wanted, 0]) {
    const server = createServer();
    server.listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    const taken = (server.address() as AddressInfo).port;
    server.close();
    await once(server, 'close');
    return taken;
  }
  throw new Error('no free port on 127.0.0.1');
}
