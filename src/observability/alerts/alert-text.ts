import type { Alert } from './alert.ts';

/** The first line: what happened. Robots that filter by a keyword find `tokenferry` in it. */
export function alertTitle(alert: Alert): string {
  return `[tokenferry] ${alert.isResolved ? 'Resolved: ' : ''}${alert.title}`;
}

/** The other facts, in the order in which a reader needs them. */
export function alertFacts(alert: Alert): readonly (readonly [name: string, value: string])[] {
  const facts: [string, string | null][] = [
    ['Since', describeTime(alert)],
    ['Tried', alert.tried],
    ['Serving now', alert.serving],
    [
      alert.kind === 'all_failed' ? 'Failed requests' : 'Reports',
      alert.reports > 1 ? String(alert.reports) : null,
    ],
    ['Changes without a message', alert.unsentChanges > 0 ? String(alert.unsentChanges) : null],
    ['Run', alert.command],
    ['Host', alert.hostname],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== null);
}

/** The whole message as plain text. */
export function alertText(alert: Alert): string {
  return [alertTitle(alert), ...alertFacts(alert).map(([name, value]) => `${name}: ${value}`)].join('\n');
}

/** Several messages that were grouped. */
export function alertTexts(alerts: readonly Alert[], textOf: (alert: Alert) => string): string {
  return alerts.map(textOf).join('\n\n');
}

/** At most `maxBytes` of UTF-8, cut at a whole character. */
export function cutBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const ellipsis = '…';
  const cut = Buffer.from(text)
    .subarray(0, maxBytes - Buffer.byteLength(ellipsis))
    .toString('utf8');
  return `${cut.replace(/\uFFFD+$/, '')}${ellipsis}`;
}

function describeTime({ isResolved, sinceMs, atMs }: Alert): string {
  const since = `${new Date(sinceMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  return isResolved ? `${since}, for ${span(atMs - sinceMs)}` : since;
}

function span(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 120) return `${Math.max(1, seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.round(minutes / 60)} h`;
}
