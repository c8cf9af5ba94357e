import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { dashboard } from '../../scripts/grafana-dashboard.ts';

/** A query that ships with tokenferry, and where it stands. */
export interface ShippedQuery {
  readonly place: string;
  readonly expr: string;
}

interface RuleFile {
  readonly groups: readonly {
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

interface DashboardPanels {
  readonly panels: readonly {
    readonly title: string;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
  readonly templating: {
    /** Without a definition: it lists data sources. */
    readonly list: readonly { readonly name: string; readonly definition?: string }[];
  };
}

/** The file with this path from the root of the repository. */
export function fileText(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

/** The expressions of the alert rules. */
export function ruleQueries(): ShippedQuery[] {
  const { groups } = parse(fileText('deploy/prometheus/tokenferry.rules.yml')) as RuleFile;
  return groups.flatMap(({ rules }) => rules.map(({ alert, expr }) => ({ place: alert, expr })));
}

/** The queries of the dashboard's panels. */
export function panelQueries(): ShippedQuery[] {
  const { panels } = dashboard() as DashboardPanels;
  return panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ place: title, expr })));
}

/** The queries of the dashboard's variables. */
export function variableQueries(): ShippedQuery[] {
  const { templating } = dashboard() as DashboardPanels;
  return templating.list.flatMap(({ name, definition }) =>
    definition === undefined ? [] : [{ place: `variable ${name}`, expr: definition }],
  );
}

/** The query of each metric in docs/metrics.md. */
export function documentedQueries(): ShippedQuery[] {
  return fileText('docs/metrics.md')
    .split('\n')
    .filter((line) => line.startsWith('| `tokenferry_'))
    .map((line) => {
      const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
      const query = /`([^`]+)`$/.exec(cells.at(-2) ?? '')?.[1] ?? '';
      return { place: cells[1] ?? '', expr: query.replaceAll('\\|', '|') };
    });
}

/** The names of metrics in a query, without the suffixes of histograms. */
export function metricsIn(expr: string): string[] {
  return Array.from(expr.matchAll(/\b(?:tokenferry|process|nodejs)_[a-z0-9_]+/g), ([name]) =>
    name.replace(/_(?:bucket|sum|count)$/, ''),
  );
}
