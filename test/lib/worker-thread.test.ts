import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { enableCompileCache, getCompileCacheDir } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startWorker } from '../../src/lib/worker-thread.ts';

test('a thread gets its data and uses the compile cache of the main thread', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'compile-cache-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  enableCompileCache(folder);
  const worker = startWorker('compile-cache-worker', import.meta.url, {
    name: 'test',
    workerData: { size: 3 },
  });
  const [message] = await once(worker, 'message');
  await once(worker, 'exit');
  assert.ok(getCompileCacheDir() !== undefined);
  assert.deepEqual(message, { cacheFolder: getCompileCacheDir(), workerData: { size: 3 } });
});
