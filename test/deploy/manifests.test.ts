import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse, parseDocument, stringify } from 'yaml';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load/load-config.ts';
import { endpointOf } from '../../src/endpoints.ts';
import { temporaryDirectory } from '../helpers/temporary-directory.ts';
import { fileText } from './deployed-queries.ts';

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly securityContext: object;
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly lifecycle: { readonly preStop: { readonly sleep: { readonly seconds: number } } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}

interface Deployment {
  readonly spec: {
    readonly selector: { readonly matchLabels: object };
    readonly template: {
      readonly metadata: { readonly annotations: Readonly<Record<string, string>> };
      readonly spec: {
        readonly automountServiceAccountToken: boolean;
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext: { readonly runAsNonRoot: boolean; readonly runAsUser: number };
        readonly containers: readonly Container[];
        readonly volumes: readonly {
          readonly name: string;
          readonly secret?: object;
          readonly configMap?: object;
        }[];
      };
    };
  };
}

interface ComposeService {
  readonly image: string;
  readonly user: string;
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly secrets?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck: { readonly test: readonly string[] };
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly stop_grace_period?: string;
}

interface ComposeFile {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly secrets: Readonly<Record<string, unknown>>;
}

interface ChartValues {
  readonly image: { readonly repository: string; readonly tag: string };
  readonly config: object;
  readonly preStopSeconds: number;
  readonly podAnnotations: Readonly<Record<string, string>>;
}

const PORT = 8888;

/** The file, parsed by the rules of YAML 1.2; fails on any problem, an anchor or key given twice included. */
function yamlOf<T>(path: string): T {
  const document = parseDocument(fileText(path), { merge: true });
  assert.deepEqual([...document.errors, ...document.warnings], [], path);
  return document.toJS() as T;
}

const kubernetes = <T>(name: string): T => yamlOf<T>(`deploy/kubernetes/${name}.yaml`);
const deployment = kubernetes<Deployment>('deployment');
const pod = deployment.spec.template.spec;
const container = pod.containers[0] as Container;
const values = yamlOf<ChartValues>('deploy/helm/tokenferry/values.yaml');
const compose = yamlOf<ComposeFile>('deploy/compose/compose.yaml');
const unit = fileText('deploy/systemd/tokenferry.service');

/** Loads a configuration whose secrets are files below `mounted`, as the place that it is for mounts them. */
function loadMounted(t: TestContext, text: string, mounted: string): Config {
  const folder = temporaryDirectory(t);
  const names = Array.from(text.matchAll(/\$\{file:([^}]+)\}/g), ([, name = '']) => name);
  assert.ok(names.length > 0, 'no secret is a file');
  for (const name of names) {
    assert.equal(dirname(name), mounted, name);
    const file = join(folder, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(
      file,
      name.endsWith('/database-url') ? 'postgres://user:word@db/records' : 'secret-of-file\n',
    );
  }
  const config = join(folder, 'config.yaml');
  writeFileSync(config, text.replaceAll('${file:/', `\${file:${folder}/`));
  const { config: loaded, warnings } = loadConfig(config, {});
  // The containers of the demo talk to each other without TLS.
  const unexpected = warnings.filter((one) => !/tokens\.demo\.token_url: .* unencrypted/.test(one));
  assert.deepEqual(unexpected, []);
  assert.equal(loaded.address, `:${PORT}`);
  return loaded;
}

const seconds = (ms: number): number => ms / 1000;

test('every YAML file of deploy parses, and the schema of the chart', () => {
  const files = [
    ...['kustomization', 'secret.example'].map((name) => `kubernetes/${name}.yaml`),
    ...['prometheus.yml', 'grafana/data-source.yaml', 'grafana/dashboards.yaml'].map(
      (name) => `compose/${name}`,
    ),
    'helm/tokenferry/Chart.yaml',
  ];
  for (const file of files) assert.equal(typeof yamlOf(`deploy/${file}`), 'object');
  assert.equal(JSON.parse(fileText('deploy/helm/tokenferry/values.schema.json')).type, 'object');
});

test('the probes of the Deployment are paths that need no key, on the port of the configuration', () => {
  assert.deepEqual(container.ports, [{ name: 'http', containerPort: PORT, protocol: 'TCP' }]);
  for (const [probe, route] of [
    [container.startupProbe, 'live'],
    [container.livenessProbe, 'live'],
    [container.readinessProbe, 'ready'],
  ] as const) {
    assert.equal(endpointOf(probe.httpGet.path).route, route);
    assert.equal(probe.httpGet.port, 'http');
  }
  for (const annotations of [deployment.spec.template.metadata.annotations, values.podAnnotations]) {
    assert.equal(endpointOf(annotations['prometheus.io/path'] ?? '').route, 'metrics');
    assert.equal(annotations['prometheus.io/port'], String(PORT));
  }
});

test('the pod is not root, writes nowhere but to its volumes, and has no capability', () => {
  assert.equal(pod.automountServiceAccountToken, false);
  assert.deepEqual(pod.securityContext, {
    runAsNonRoot: true,
    runAsUser: 1000,
    runAsGroup: 1000,
    fsGroup: 1000,
    seccompProfile: { type: 'RuntimeDefault' },
  });
  assert.deepEqual(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  });
  assert.match(fileText('Dockerfile'), /^USER 1000:1000$/m);
});

test('the configuration of the ConfigMap loads with its secrets as files, and the pod is given time for shutdown_grace', (t) => {
  const mounted = container.volumeMounts.find(({ name }) => name === 'secrets')?.mountPath ?? '';
  const config = loadMounted(t, fileText('deploy/kubernetes/config.yaml'), mounted);
  assert.equal(config.dbtype, 'postgres');
  const { preStop } = container.lifecycle;
  const needed = preStop.sleep.seconds + seconds(config.shutdown_grace);
  assert.equal(pod.terminationGracePeriodSeconds, needed + 10);
  const secret = kubernetes<{ readonly stringData: object }>('secret.example');
  const files = Array.from(fileText('deploy/kubernetes/config.yaml').matchAll(/\$\{file:[^}]*\/([^}/]+)\}/g));
  assert.deepEqual(files.map(([, name]) => name).sort(), Object.keys(secret.stringData).sort());
});

test('the configuration that the arguments name is a file of a mounted folder', () => {
  const file = container.args[container.args.indexOf('--config') + 1] ?? '';
  const mount = container.volumeMounts.find(({ name }) => name === 'config');
  assert.deepEqual(mount, { name: 'config', mountPath: dirname(file), readOnly: true });
  assert.match(fileText('deploy/kubernetes/kustomization.yaml'), /files: \[config\.yaml\]/);
});

test('the chart has the configuration, the image and the waits of the kustomization', (t) => {
  assert.deepEqual(values.config, yamlOf('deploy/kubernetes/config.yaml'));
  loadMounted(t, stringify(values.config), '/run/secrets/tokenferry');
  assert.equal(values.preStopSeconds, container.lifecycle.preStop.sleep.seconds);
  const { images } = kubernetes<{ readonly images: readonly object[] }>('kustomization');
  const chart = yamlOf<{ readonly version: string; readonly appVersion: string }>(
    'deploy/helm/tokenferry/Chart.yaml',
  );
  assert.deepEqual(images, [
    { name: container.image, newName: values.image.repository, newTag: chart.appVersion },
  ]);
  assert.equal(values.image.tag, '');
});

test('the selectors of Service, PodDisruptionBudget and NetworkPolicy are those of the Deployment', () => {
  const { matchLabels } = deployment.spec.selector;
  const service = kubernetes<{
    spec: { selector: object; ports: readonly { port: number; targetPort: string }[] };
  }>('service');
  assert.deepEqual(service.spec.selector, matchLabels);
  assert.equal(service.spec.ports[0]?.targetPort, 'http');
  const budget = kubernetes<{ spec: { selector: { matchLabels: object } } }>('pod-disruption-budget');
  assert.deepEqual(budget.spec.selector.matchLabels, matchLabels);
  const policy = kubernetes<{
    spec: { podSelector: { matchLabels: object }; ingress: readonly { ports: readonly object[] }[] };
  }>('network-policy');
  assert.deepEqual(policy.spec.podSelector.matchLabels, matchLabels);
  assert.deepEqual(policy.spec.ingress[0]?.ports, [{ port: PORT, protocol: 'TCP' }]);
});

test('no service of compose is root, writes to its own files or has a capability, and each has a health check', () => {
  for (const [name, service] of Object.entries(compose.services)) {
    assert.equal(service.read_only, true, name);
    assert.deepEqual(service.cap_drop, ['ALL'], name);
    assert.match(service.user, /^[1-9]\d*:\d+$/, name);
    assert.equal(service.healthcheck.test[0], 'CMD', name);
    for (const [variable, value] of Object.entries(service.environment ?? {}))
      if (/PASSWORD|SECRET|KEY/.test(variable)) assert.match(value, /^\/run\/secrets\//, variable);
  }
  assert.equal(compose.services.gateway?.user, '1000:1000');
  assert.equal(compose.services.gateway?.image, compose.services.demo?.image);
  assert.deepEqual(compose.services.demo?.profiles, ['demo']);
});

test('both configurations of compose load with the secrets that the gateway is given, within the time that it has to stop', (t) => {
  const { gateway } = compose.services;
  for (const file of ['conf', 'demo/conf'].map((folder) => `deploy/compose/${folder}/config.yaml`)) {
    const text = fileText(file);
    const config = loadMounted(t, text, '/run/secrets');
    const names = Array.from(text.matchAll(/\$\{file:\/run\/secrets\/([^}]+)\}/g), ([, name]) => name);
    assert.deepEqual(names.sort(), gateway?.secrets?.toSorted(), file);
    assert.ok(Number.parseInt(gateway?.stop_grace_period ?? '0', 10) > seconds(config.shutdown_grace), file);
  }
  const made = /^for name in (.+); do$/m.exec(fileText('deploy/compose/make-secrets.sh'))?.[1]?.split(' ');
  assert.deepEqual(made?.sort(), Object.keys(compose.secrets).sort());
});

test('Prometheus scrapes the port of the gateway under the name of the job that the rules expect', () => {
  const { scrape_configs: jobs } = yamlOf<{ readonly scrape_configs: readonly object[] }>(
    'deploy/compose/prometheus.yml',
  );
  assert.deepEqual(jobs, [{ job_name: 'tokenferry', static_configs: [{ targets: [`gateway:${PORT}`] }] }]);
  assert.match(fileText('deploy/prometheus/tokenferry.rules.yml'), /up\{job="tokenferry"\}/);
});

test('Grafana gets a Prometheus as its default data source, which the dashboard selects by a variable', () => {
  const { datasources } = yamlOf<{ readonly datasources: readonly { type: string; isDefault: boolean }[] }>(
    'deploy/compose/grafana/data-source.yaml',
  );
  assert.deepEqual(
    datasources.map(({ type, isDefault }) => ({ type, isDefault })),
    [{ type: 'prometheus', isDefault: true }],
  );
  const { grafana } = parse(fileText('deploy/compose/compose.yaml'), { merge: true }).services;
  const { providers } = yamlOf<{ readonly providers: readonly { options: { path: string } }[] }>(
    'deploy/compose/grafana/dashboards.yaml',
  );
  const target = `${providers[0]?.options.path}/tokenferry.json`;
  assert.ok(grafana.volumes.includes(`../grafana/tokenferry.json:${target}:ro`));
  assert.equal(grafana.environment.GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH, target);

  const text = fileText('deploy/grafana/tokenferry.json');
  const dashboard = JSON.parse(text) as {
    readonly __inputs?: object;
    readonly templating: { readonly list: readonly { name: string; type: string; query: unknown }[] };
  };
  assert.equal(dashboard.__inputs, undefined, 'inputs are filled in by an import by hand only');
  const [variable] = dashboard.templating.list;
  assert.deepEqual([variable?.type, variable?.query], ['datasource', 'prometheus']);
  const sources = new Set([...text.matchAll(/"uid": "(\$[^"]*)"/g)].map((match) => match[1]));
  assert.deepEqual([...sources], [`\${${variable?.name}}`]);
});

test('the unit of systemd loads the secrets that its configuration names, and waits longer than shutdown_grace', (t) => {
  const text = fileText('deploy/systemd/config.yaml');
  const config = loadMounted(t, text, '/run/credentials/tokenferry.service');
  assert.equal(config.dbaddr, './db.sqlite');
  const credentials = Array.from(unit.matchAll(/^LoadCredential=([^:]+):/gm), ([, name]) => name);
  const named = Array.from(text.matchAll(/\$\{file:[^}]*\/([^}/]+)\}/g), ([, name]) => name);
  assert.deepEqual(credentials.sort(), named.sort());
  assert.ok(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]) > seconds(config.shutdown_grace));
  assert.match(unit, /^DynamicUser=yes$/m);
  assert.match(unit, /^ProtectSystem=strict$/m);
});

test('every file that SECURITY.md and docs/deploy.md link to exists', () => {
  for (const [document, folder] of [
    ['SECURITY.md', ''],
    ['docs/deploy.md', 'docs/'],
  ] as const) {
    const links = Array.from(fileText(document).matchAll(/\]\(([^)#]+)/g), ([, path = '']) => path);
    assert.ok(links.length > 0);
    for (const path of links) assert.ok(existsSync(new URL(`../../${folder}${path}`, import.meta.url)), path);
  }
});
