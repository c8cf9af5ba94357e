import { parentPort, workerData } from 'node:worker_threads';
import { type PackedInputs, packedInputs, unpackedInputs } from './packed-inputs.ts';
import { SqliteFile } from './sqlite-file.ts';
import { compacted, expanded } from './stored-vector.ts';
import { NOTHING_STORED, type StoreStats } from './vector-store.ts';

/** The calls of the worker, which are carried out in turn; each gets one response. */
export type CacheCall =
  | { readonly kind: 'find'; readonly scope: string; readonly keys: readonly string[] }
  | {
      readonly kind: 'keep';
      readonly scope: string;
      readonly model: string | null;
      readonly keys: readonly string[];
      readonly inputs: PackedInputs;
    }
  | { readonly kind: 'resize'; readonly maxBytes: number }
  | { readonly kind: 'clear' }
  | { readonly kind: 'close' };

export interface CacheRequest {
  readonly number: number;
  readonly call: CacheCall;
}

interface Found {
  readonly model: string | null;
  readonly inputs: PackedInputs;
}

export interface CacheResponse {
  readonly number: number;
  readonly stats: StoreStats;
  /** Of `find`. */
  readonly found?: Found;
  /** Why the file cannot be used, in words. */
  readonly fault?: string;
}

/** The settings that the worker is started with. */
export interface CacheWorkerSettings {
  readonly path: string;
  readonly maxBytes: number;
}

/** The open file, opened by the first call and again by the first one after a fault. */
class CacheWorker {
  readonly #path: string;
  #maxBytes: number;
  #file: SqliteFile | null = null;
  #stats = NOTHING_STORED;
  /** Of files that were closed. */
  #evictions = 0;

  constructor({ path, maxBytes }: CacheWorkerSettings) {
    this.#path = path;
    this.#maxBytes = maxBytes;
  }

  respond({ number, call }: CacheRequest): CacheResponse {
    try {
      const found = this.#run(call);
      return found === null ? { number, stats: this.#stats } : { number, stats: this.#stats, found };
    } catch (error) {
      const { code, message } = error as { readonly code?: unknown; readonly message?: unknown };
      if (!isSurvivable(code)) this.#close();
      return {
        number,
        stats: this.#stats,
        fault: typeof code === 'string' ? `${message} (${code})` : `${message}`,
      };
    }
  }

  #run(call: CacheCall): Found | null {
    if (call.kind === 'close') {
      this.#close();
      return null;
    }
    if (call.kind === 'resize') this.#maxBytes = call.maxBytes;
    if (this.#file?.isInPlace() === false) this.#close();
    this.#file ??= new SqliteFile(this.#path, this.#maxBytes);
    const found = runOn(this.#file, call);
    const { evictions, ...stats } = this.#file.stats;
    this.#stats = { ...stats, evictions: this.#evictions + evictions };
    return found;
  }

  #close(): void {
    const file = this.#file;
    this.#file = null;
    this.#evictions = this.#stats.evictions;
    try {
      file?.close();
    } catch {
      // The connection is not used again; the next call opens another.
    }
  }
}

/** Faults after which the same connection works again. */
function isSurvivable(code: unknown): boolean {
  return typeof code === 'string' && /^SQLITE_(?:BUSY|LOCKED|FULL)/.test(code);
}

function runOn(file: SqliteFile, call: CacheCall): Found | null {
  switch (call.kind) {
    case 'find': {
      const { model, inputs } = file.find(call.scope, call.keys, Date.now());
      const whole = inputs.map((input) =>
        input === null ? null : { ...input, vector: expanded(input.vector) },
      );
      return { model, inputs: packedInputs(whole) };
    }
    case 'keep': {
      const { scope, model, keys } = call;
      const inputs = unpackedInputs(call.inputs)
        .filter((input) => input !== null)
        .map((input) => ({ ...input, vector: compacted(input.vector) }));
      file.keep({ scope, model, keys, inputs }, Date.now());
      return null;
    }
    case 'resize':
      file.resize(call.maxBytes);
      return null;
    case 'clear':
      file.clear();
      return null;
    case 'close':
      return null;
  }
}

const port = parentPort;
// Null on the main thread, where this file only packs.
if (port !== null) {
  const worker = new CacheWorker(workerData as CacheWorkerSettings);
  port.on('message', (request: CacheRequest) => {
    const response = worker.respond(request);
    port.postMessage(response, response.found === undefined ? [] : [response.found.inputs.bytes]);
    if (request.call.kind === 'close') port.close();
  });
}
