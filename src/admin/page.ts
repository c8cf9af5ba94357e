import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { type Router } from 'express';

/** Where the page is: beside this code in dist/, or in dist/ui of a checkout whose source runs. */
const FOLDERS = ['../ui/', '../../dist/ui/'];

/** Names in `assets` contain a hash of the content. */
const FOREVER = { immutable: true, maxAge: '365d', index: false, redirect: false } as const;

const NOT_BUILT = `<!doctype html><html lang="en"><meta charset="utf-8"><title>tokenferry</title>
<p>The page is not built. In the folder of tokenferry: <code>npm run build:ui</code> (<code>npm start</code> does it by itself).</p></html>`;

/**
 * The page at `/ui/`, below any prefix that a proxy adds: every address in it is relative. `gatewayOrigin`: where the API is,
 * when the page has an address of its own; null: the same.
 */
export function createPageRouter(gatewayOrigin: (host: string) => string | null): Router {
  const folder = FOLDERS.map((path) => fileURLToPath(new URL(path, import.meta.url))).find((path) =>
    existsSync(join(path, 'index.html')),
  );
  const router = express.Router({ strict: true });
  if (folder !== undefined) {
    router.use('/ui/assets', (_request, response, next) => {
      response.removeHeader('cache-control');
      next();
    });
    router.use('/ui/assets', express.static(join(folder, 'assets'), FOREVER));
    router.get('/ui/icon.svg', (_request, response) => response.sendFile(join(folder, 'icon.svg')));
  }
  router.get(['/ui', '/ui/*view'], async (request, response, next) => {
    // A file that is missing is not a view.
    if (request.path.startsWith('/ui/assets/')) return next();
    allowPage(response, gatewayOrigin(request.headers.host ?? ''));
    if (folder === undefined) {
      response.status(503).type('html').send(NOT_BUILT);
      return;
    }
    const html = await readFile(join(folder, 'index.html'), 'utf8');
    response.type('html').send(html.replaceAll('="./', `="${upTo(request.originalUrl)}`));
  });
  return router;
}

/** From the address of a view back to `/ui/`, as the browser sees both. */
function upTo(address: string): string {
  const path = address.replace(/[?#].*$/s, '');
  const inside = path.slice(path.lastIndexOf('/ui') + '/ui'.length);
  if (inside === '') return './ui/';
  return '../'.repeat(inside.split('/').length - 2) || './';
}

function allowPage(response: ServerResponse, gatewayOrigin: string | null): void {
  const policy = [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    `connect-src 'self'${gatewayOrigin === null ? '' : ` ${gatewayOrigin}`}`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ];
  response.setHeader('content-security-policy', policy.join('; '));
  response.setHeader('cache-control', 'no-cache');
}
