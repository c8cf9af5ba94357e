/**
 * `node scripts/check-manifests.ts`: kustomize and helm render the same objects, and each is valid by the OpenAPI
 * description of Kubernetes' API, without unknown fields. Needs Go's kustomize, helm and kubeconform (docs/deploy.md), and
 * the description from the Go module k8s.io/kubernetes. No cluster and no other download is needed.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';

const root = fileURLToPath(new URL('..', import.meta.url));

/** The newest and the oldest API that the manifests are for: preStop's `sleep` came with 1.30. */
const VERSIONS = ['v1.34.1', 'v1.30.14'];

const CHART = 'deploy/helm/tokenferry';
/** A helm that `go install` built takes an old version for the cluster's. */
const KUBE_VERSION = ['--kube-version', '1.34.1'];

interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
}

/** A schema of OpenAPI 2, as far as it is read here. */
interface OpenApiSchema {
  type?: unknown;
  properties?: Record<string, unknown>;
  additionalProperties?: unknown;
  'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[];
}

const folder = mkdtempSync(join(tmpdir(), 'tokenferry-manifests-'));
try {
  const kustomized = run('kustomize', ['build', 'deploy/kubernetes']);
  const charted = run('helm', ['template', 'tokenferry', CHART, ...KUBE_VERSION]);
  compare(objectsOf(kustomized), objectsOf(charted));
  run('helm', ['lint', '--strict', CHART, ...KUBE_VERSION]);
  console.log('ok   helm lint --strict');
  const rendered = {
    'kustomize.yaml': kustomized,
    'helm.yaml': charted,
    'secret.yaml': readFileSync(join(root, 'deploy/kubernetes/secret.example.yaml'), 'utf8'),
  };
  for (const [name, text] of Object.entries(rendered)) writeFileSync(join(folder, name), text);
  for (const version of VERSIONS) validate(version, Object.keys(rendered));
} catch (error) {
  const { message, stdout = '' } = error as Error & { stdout?: string };
  console.error(`${message}\n${stdout}`);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function run(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 256e6 });
}

/** By kind. */
function objectsOf(text: string): Map<string, unknown> {
  const objects = parseAllDocuments(text).map((document) => document.toJS() as KubernetesObject | null);
  return new Map(objects.flatMap((one) => (one === null ? [] : [[one.kind, comparable(one)]])));
}

/** Without the labels that only Helm sets, and with the configuration as values. */
function comparable({ data, metadata, ...rest }: KubernetesObject): unknown {
  const labels = Object.entries(metadata.labels ?? {}).filter(
    ([name]) => !/^helm\.sh|\/(?:version|managed-by)$/.test(name),
  );
  const config = data === undefined ? {} : { config: parse(data['config.yaml'] ?? '') };
  return { ...rest, ...config, metadata: { ...metadata, labels: Object.fromEntries(labels) } };
}

function compare(kustomized: Map<string, unknown>, charted: Map<string, unknown>): void {
  const kinds = new Set([...kustomized.keys(), ...charted.keys()]);
  for (const kind of kinds) {
    const [one, other] = [kustomized.get(kind), charted.get(kind)];
    if (!isDeepStrictEqual(one, other)) {
      const texts = [one, other].map((value) => JSON.stringify(value, null, 1));
      throw new Error(`kustomize and helm differ in ${kind}:\n${texts.join('\n')}`);
    }
  }
  console.log(`ok   kustomize and helm render the same ${kinds.size} objects: ${[...kinds].join(', ')}`);
}

function validate(version: string, files: readonly string[]): void {
  const schemas = join(folder, version);
  mkdirSync(schemas);
  writeSchemas(version, schemas);
  const location = `${schemas}/{{.ResourceKind}}{{.KindSuffix}}.json`;
  const paths = files.map((name) => join(folder, name));
  const said = run('kubeconform', ['-summary', '-schema-location', location, ...paths]);
  console.log(`ok   Kubernetes ${version}: ${said.trim()}`);
}

/** One JSON Schema for each kind, from the description in the Go module. */
function writeSchemas(version: string, target: string): void {
  const { Dir } = JSON.parse(
    execFileSync('go', ['mod', 'download', '-json', `k8s.io/kubernetes@${version}`], {
      cwd: folder,
      encoding: 'utf8',
    }),
  ) as { Dir: string };
  const { definitions } = JSON.parse(readFileSync(join(Dir, 'api/openapi-spec/swagger.json'), 'utf8')) as {
    definitions: Record<string, OpenApiSchema>;
  };
  for (const [name, schema] of Object.entries(definitions)) definitions[name] = strict(name, schema);
  for (const [name, schema] of Object.entries(definitions)) {
    for (const { group, version: apiVersion, kind } of schema['x-kubernetes-group-version-kind'] ?? []) {
      const suffix = group === '' ? apiVersion : `${group.split('.')[0]}-${apiVersion}`;
      const used = reachable(name, definitions);
      writeFileSync(
        join(target, `${kind.toLowerCase()}-${suffix}.json`),
        JSON.stringify({ $ref: `#/definitions/${name}`, definitions: used }),
      );
    }
  }
}

/** Unknown fields are errors; the two types that JSON writes in two ways are told so. */
function strict(name: string, schema: OpenApiSchema): OpenApiSchema {
  if (name.endsWith('.IntOrString')) return { type: ['integer', 'string'] };
  if (name.endsWith('.Quantity')) return { type: ['number', 'string'] };
  if (schema.properties === undefined) return schema;
  return { additionalProperties: false, ...schema };
}

/** The definition of this name and those that it refers to. */
function reachable(name: string, definitions: Readonly<Record<string, OpenApiSchema>>): object {
  const names = new Set([name]);
  for (const one of names)
    for (const [, other = ''] of JSON.stringify(definitions[one]).matchAll(/"#\/definitions\/([^"]+)"/g))
      names.add(other);
  return Object.fromEntries([...names].map((one) => [one, definitions[one]]));
}
