import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

/** Where the description lies. */
export const DESCRIPTION_FILE = fileURLToPath(new URL('../../openapi.yaml', import.meta.url));

export interface MediaType {
  readonly schema?: object;
  /** The schema of one event's JSON (OpenAPI 3.2 calls it `itemSchema`). */
  readonly 'x-itemSchema'?: object;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}

export interface HeaderDescription {
  readonly required?: boolean;
  readonly schema: { readonly type: string };
}

export interface ResponseDescription {
  readonly $ref?: string;
  readonly headers?: Readonly<Record<string, HeaderDescription & { readonly $ref?: string }>>;
  readonly content: Readonly<Record<string, MediaType>>;
}

export interface Operation {
  readonly path: string;
  readonly method: string;
  readonly operationId: string;
  readonly security?: readonly object[];
  readonly requestBody?: { readonly content: Readonly<Record<string, MediaType>> };
  readonly responses: Readonly<Record<string, ResponseDescription>>;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Omit<Operation, 'path' | 'method'>>>>>;
  readonly components: {
    readonly responses: Readonly<Record<string, ResponseDescription>>;
    readonly schemas: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** `openapi.yaml`, able to judge replies and requests by it. */
export class ApiDescription {
  readonly document: Document;
  readonly operations: readonly Operation[];
  readonly #ajv = new Ajv2020({ strict: false, allErrors: false, validateFormats: false });
  readonly #compiled = new Map<object, ValidateFunction>();

  constructor(document = parse(readFileSync(DESCRIPTION_FILE, 'utf8')) as Document) {
    this.document = document;
    // Under an address of its own, against which the references are resolved.
    this.#ajv.addSchema(document, 'https://tokenferry.example/openapi');
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, ...operation })),
    );
  }

  operation(method: string, path: string): Operation {
    const found = this.operations.find((one) => one.method === method && one.path === path);
    assert.ok(found !== undefined, `${method} ${path} is not described`);
    return found;
  }

  /** The description of a status, by its number or by its class (`4XX`). */
  response(operation: Operation, status: number): ResponseDescription {
    const found = operation.responses[status] ?? operation.responses[`${Math.floor(status / 100)}XX`];
    assert.ok(found !== undefined, `${operation.operationId} does not describe ${status}`);
    return this.#resolve(found);
  }

  /** What is wrong with `value`; null when the schema permits it. */
  fault(schema: object, value: unknown): string | null {
    let validate = this.#compiled.get(schema);
    if (validate === undefined) {
      validate = this.#ajv.compile(absolute(schema));
      this.#compiled.set(schema, validate);
    }
    return validate(value) ? null : this.#ajv.errorsText(validate.errors);
  }

  /** Fails unless status, headers, content type and body of a reply are as described. */
  checkReply(operation: Operation, reply: Reply): void {
    const what = `${operation.operationId} ${reply.status} ${reply.text.slice(0, 300)}`;
    const { headers = {}, content } = this.response(operation, reply.status);
    for (const [name, header] of Object.entries(headers))
      this.#checkHeader(name, this.#resolve(header), reply, what);
    const type = reply.headers.get('content-type')?.split(';')[0] ?? '';
    const schema = content[type]?.schema;
    assert.ok(schema !== undefined, `${what}: content type ${type}`);
    const body: unknown = type === 'application/json' ? JSON.parse(reply.text) : reply.text;
    assert.equal(this.fault(schema, body), null, what);
  }

  /** Fails unless the JSON of every event of a stream is as described. */
  checkEvents(operation: Operation, text: string): void {
    const schema = this.response(operation, 200).content['text/event-stream']?.['x-itemSchema'];
    assert.ok(schema !== undefined, `${operation.operationId} describes no events`);
    // By LF alone: what else JavaScript takes for the end of a line may stand inside of JSON.
    const lines = text.split('\n').filter((line) => line.startsWith('data: {'));
    for (const line of lines)
      assert.equal(this.fault(schema, JSON.parse(line.slice('data: '.length))), null, line);
  }

  #checkHeader(name: string, header: HeaderDescription, reply: Reply, what: string): void {
    const value = reply.headers.get(name);
    if (value === null) {
      assert.ok(header.required !== true, `${what}: no ${name}`);
      return;
    }
    const read = header.schema.type === 'integer' ? Number(value) : value;
    assert.equal(this.fault(header.schema, read), null, `${what}: ${name}: ${value}`);
  }

  #resolve<Part extends object>(part: Part): Part {
    if (!('$ref' in part) || typeof part.$ref !== 'string') return part;
    let found: unknown = this.document;
    for (const name of part.$ref.split('/').slice(1)) found = (found as Record<string, unknown>)[name];
    return found as Part;
  }
}

/** The schema with its references made absolute, since it is compiled outside of its document. */
function absolute(schema: object): object {
  return JSON.parse(
    JSON.stringify(schema).replaceAll('"$ref":"#', '"$ref":"https://tokenferry.example/openapi#'),
  ) as object;
}

/** Everything of a reply. */
export async function readReply(answering: Promise<Response>): Promise<Reply> {
  const response = await answering;
  return { status: response.status, headers: response.headers, text: await response.text() };
}
