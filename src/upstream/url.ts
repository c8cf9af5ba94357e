import { endpointOf, type PathKey } from '../endpoints.ts';
import { FerryError } from '../lib/errors/ferry-error.ts';

export interface PathSettings {
  /** The upstream's base URL; its own path is kept. */
  readonly endpoint: URL;
  /** Added to every request. */
  readonly query: Readonly<Record<string, string>>;
  /** Templates with `{model}`, absolute on the upstream's origin. */
  readonly paths: Readonly<Partial<Record<PathKey, string>>>;
}

/** Builds the path and query that an upstream gets. Templates and the query are prepared once. */
export class UpstreamPaths {
  readonly #prefix: string;
  readonly #query: string;
  /** Names of the configured query: a client cannot set them. */
  readonly #queryNames: ReadonlySet<string>;
  readonly #templates: PathSettings['paths'];
  /** Results for paths without a query of the client's: a handful per upstream. */
  readonly #prepared = new Map<string, string>();

  constructor(settings: PathSettings) {
    this.#prefix = settings.endpoint.pathname.replace(/\/+$/, '');
    this.#templates = settings.paths;
    const query = new URLSearchParams(settings.endpoint.search);
    for (const [name, value] of Object.entries(settings.query)) query.set(name, value);
    this.#query = query.toString();
    this.#queryNames = new Set(query.keys());
  }

  /**
   * `path` is what follows our `/v1`, with a leading slash; `clientQuery` is without `?`; `model` is the upstream's
   * own name for it.
   */
  build(path: string, clientQuery: string, model: string): string {
    if (clientQuery === '') {
      const known = this.#prepared.get(path);
      if (known !== undefined) return known;
    }
    const key = endpointOf(`/v1${path}`).pathKey;
    const template = key === null ? undefined : this.#templates[key];
    if (template === undefined && clientQuery === '') {
      const built = this.#join(this.#prefix + path, '');
      if (key !== null) this.#prepared.set(path, built);
      return built;
    }
    const target =
      template === undefined ? this.#prefix + path : template.replaceAll('{model}', segmentOf(model));
    return this.#join(target, this.#withoutOurs(clientQuery));
  }

  #withoutOurs(clientQuery: string): string {
    if (clientQuery === '' || this.#queryNames.size === 0) return clientQuery;
    const kept = clientQuery.split('&').filter((part) => {
      const [name] = new URLSearchParams(part).keys();
      return name === undefined || !this.#queryNames.has(name);
    });
    return kept.join('&');
  }

  #join(path: string, clientQuery: string): string {
    const query =
      clientQuery !== '' && this.#query !== '' ? `${clientQuery}&${this.#query}` : clientQuery + this.#query;
    if (query === '') return path === '' ? '/' : path;
    return `${path}${path.includes('?') ? '&' : '?'}${query}`;
  }
}

/** A model as one segment of a path. Throws `invalid_request` for names that would climb, or are no text. */
function segmentOf(model: string): string {
  if (/^\.{1,2}$/.test(model) || !model.isWellFormed()) {
    throw new FerryError('invalid_request', {
      message: 'The name of the model cannot be part of a path.',
      param: 'model',
    });
  }
  return encodeURIComponent(model);
}
