import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dashboard } from '../../scripts/grafana-dashboard.ts';
import { Gateway } from '../helpers/gateway.ts';
import { refusingUrl } from '../helpers/raw-upstream.ts';
import {
  documentedQueries,
  fileText,
  metricsIn,
  panelQueries,
  ruleQueries,
  type ShippedQuery,
  variableQueries,
} from './deployed-queries.ts';

/** All that ship. */
function shippedQueries(): ShippedQuery[] {
  return [...ruleQueries(), ...panelQueries(), ...variableQueries(), ...documentedQueries()];
}

test('every metric that a dashboard, a rule or the documentation names exists in a running gateway', async () => {
  await using gateway = await Gateway.start({
    dbtype: 'none',
    upstreams: [{ name: 'lone', endpoint: await refusingUrl(), sk: 'key-of-lone', allow: ['m'] }],
  });
  const exposed = new Set(
    Array.from((await gateway.metrics()).matchAll(/^# TYPE (\w+) /gm), ([, name = '']) => name),
  );
  for (const { place, expr } of shippedQueries()) {
    const names = metricsIn(expr);
    if (expr.startsWith('up{')) continue;
    assert.ok(names.length > 0, `${place} names no metric`);
    for (const name of names) assert.ok(exposed.has(name), `${place}: ${name}`);
  }
});

test('the dashboard shows every metric of tokenferry that is worth a look over time', async () => {
  const shown = new Set(panelQueries().flatMap(({ expr }) => metricsIn(expr)));
  const documented = documentedQueries().flatMap(({ expr }) => metricsIn(expr));
  const rare = /_(?:same_returned_total|served_total|clock_jump_total|skew_seconds)$/;
  const missing = [...new Set(documented)].filter((name) => !shown.has(name) && !rare.test(name));
  assert.deepEqual(missing, []);
});

test('deploy/grafana/tokenferry.json is what scripts/grafana-dashboard.ts writes', () => {
  assert.deepEqual(JSON.parse(fileText('deploy/grafana/tokenferry.json')), dashboard());
});

test('the panels of the dashboard do not overlap and have ids of their own', () => {
  const { panels } = dashboard() as {
    panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[];
  };
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  const taken = new Set<string>();
  for (const { gridPos } of panels)
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(x < 24 && !taken.has(`${x} ${y}`), `${x} ${y}`);
        taken.add(`${x} ${y}`);
      }
});
