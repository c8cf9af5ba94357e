import type { RequestHandler } from 'express';
import { FerryError } from '../../lib/errors/ferry-error.ts';

/** The methods of each path of the admin API and the page, those of the playground excepted. */
export const ALLOWED_METHODS: readonly (readonly [methods: readonly string[], paths: readonly string[]])[] = [
  [['GET', 'POST', 'DELETE'], ['/admin/session']],
  [
    ['GET'],
    [
      '/ui',
      '/ui/*view',
      '/admin/status',
      '/admin/tokens',
      '/admin/tokens/:name/history',
      '/admin/upstreams',
      '/admin/models',
      '/admin/requests',
      '/admin/requests/:id',
      '/admin/stats',
      '/admin/config',
      '/admin/events',
    ],
  ],
  [
    ['POST'],
    [
      '/admin/tokens/:name/refresh',
      '/admin/upstreams/:name/pause',
      '/admin/upstreams/:name/resume',
      '/admin/upstreams/:name/probe',
      '/admin/reload',
      '/admin/embeddings-cache/clear',
      '/admin/log-level',
      '/admin/alerts/:name/test',
      '/admin/setup/call',
      '/admin/setup/draft',
    ],
  ],
];

/** Refuses all other methods with a 405 that names these. Express serves HEAD with GET. */
export function only(methods: readonly string[]): RequestHandler {
  const all = methods.includes('GET') ? ['HEAD', ...methods] : methods;
  return (request, response, next) => {
    // A missing file of the page, for one.
    if (all.includes(request.method)) return next();
    response.setHeader('allow', all.join(', '));
    throw new FerryError('method_not_allowed', {
      message: `Method not allowed: ${request.method} ${request.path}. Use ${methods.join(' or ')}.`,
    });
  };
}
