import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/helpers/free-port.ts';
import { Child } from './child.ts';

/** What every load authenticates with. */
export const CLIENT_KEY = 'load-client-key';

/** A gateway as a user starts it, in a process of its own. */
export interface GatewayUnderLoad {
  /** Without `/v1`. */
  readonly url: string;
  readonly child: Child;
}

/** Longest wait for /readyz. */
const MAX_TRIES = 400;
const TRY_EVERY_MS = 25;

/** Starts it on `config`, with its records and log in `folder`; resolves when it is ready. The caller stops the child. */
export async function startGatewayUnderLoad(folder: string, config: object): Promise<GatewayUnderLoad> {
  const port = await freePort();
  const file = join(folder, 'config.yaml');
  const common = {
    address: `127.0.0.1:${port}`,
    authorization: CLIENT_KEY,
    dbaddr: join(folder, 'db.sqlite'),
  };
  // JSON is YAML.
  await writeFile(file, JSON.stringify({ ...common, ...config }));
  const child = Child.start('gateway', 'src/main.ts', ['--config', file], join(folder, 'gateway.log'));
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const status = await fetch(`${url}/readyz`).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 200) return { url, child };
    await sleep(TRY_EVERY_MS);
  }
  await child.stop();
  throw new Error(`the gateway did not become ready; see ${join(folder, 'gateway.log')}`);
}
