/**
 * What any gateway on Node costs at least: `http` in, `undici.dispatch` out, nothing in between. Arguments: the
 * upstream's origin. Sends its port over the IPC channel.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';

const pool = new Pool(process.argv[2] ?? '', { connections: null, bodyTimeout: 0, headersTimeout: 0 });

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const headers = {
      'content-type': request.headers['content-type'] ?? '',
      authorization: request.headers.authorization ?? '',
    };
    let hasLeft = false;
    pool.dispatch(
      { path: request.url ?? '/', method: 'POST', headers, body: Buffer.concat(chunks) },
      {
        onRequestStart(controller) {
          response.once('close', () => {
            hasLeft = !response.writableFinished;
            if (hasLeft) controller.abort(new Error('the client left'));
          });
          response.on('drain', () => controller.resume());
        },
        onResponseStart(_controller, status, received) {
          const fields: Record<string, string> = { 'content-type': String(received['content-type']) };
          if (received['content-length'] !== undefined)
            fields['content-length'] = String(received['content-length']);
          response.writeHead(status, fields);
        },
        onResponseData(controller, chunk) {
          if (!response.write(chunk)) controller.pause();
        },
        onResponseEnd() {
          response.end();
        },
        onResponseError() {
          if (!hasLeft) response.destroy();
        },
      },
    );
  });
});
server.keepAliveTimeout = 120_000;

server.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.once('disconnect', () => process.exit());
