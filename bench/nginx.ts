import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../test/helpers/free-port.ts';
import { canPin, GATEWAY_CORE } from './child.ts';
import type { Reading } from './meter.ts';
import type { Target } from './targets.ts';

/** A proxy in C that forwards with keep-alive connections and no buffering, and knows no tokens, records or failover. */
const configOf = (port: number, upstream: string, folder: string): string => `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 8192; }
http {
  access_log ${folder}/access.log;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  client_max_body_size 64m;
  client_body_buffer_size 1m;
  keepalive_requests 1000000;
  upstream model { server ${upstream}; keepalive 256; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 300s;
    }
  }
}
`;

const MAX_TRIES = 200;

/** Whether this machine has it (`apt install nginx`). */
export const hasNginx = process.platform === 'linux' && spawnSync('nginx', ['-v']).status === 0;

export async function startNginx(upstreamOrigin: string): Promise<Target> {
  const [port, folder] = [await freePort(), await mkdtemp(join(tmpdir(), 'tokenferry-bench-nginx-'))];
  const file = join(folder, 'nginx.conf');
  await writeFile(file, configOf(port, new URL(upstreamOrigin).host, folder));
  const startedMs = performance.now();
  const command = ['nginx', '-c', file, '-p', folder, '-e', join(folder, 'error.log')];
  const [program = '', ...args] = canPin ? ['taskset', '-c', GATEWAY_CORE, ...command] : command;
  const child = spawn(program, args, { stdio: 'ignore' });
  const origin = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const isThere = await fetch(`${origin}/issued`).then(
      (response) => response.ok,
      () => false,
    );
    if (isThere) break;
    await sleep(10);
  }
  return {
    name: 'nginx',
    origin,
    child: null,
    startMs: performance.now() - startedMs,
    meter: () => readingOf(child.pid ?? 0),
    async stop() {
      child.kill('SIGTERM');
      if (child.exitCode === null) await once(child, 'exit');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Of its one process, from the kernel: nanoseconds on a core, and resident pages. */
async function readingOf(pid: number): Promise<Reading> {
  const [schedule = '0'] = (await readFile(`/proc/${pid}/schedstat`, 'utf8')).split(' ');
  const [, pages = '0'] = (await readFile(`/proc/${pid}/statm`, 'utf8')).split(' ');
  const cpuUs = Number(schedule) / 1000;
  return {
    cpuUs,
    mainUs: cpuUs,
    rssBytes: Number(pages) * 4096,
    heapBytes: 0,
    reservedHeapBytes: 0,
    externalBytes: 0,
    resources: {},
  };
}
