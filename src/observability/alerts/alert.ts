/**
 * The changes of state that cause an alert. Each problem has a recovery. `isListed`: the recovery has a name of its own in
 * `notify[].events`; the others come with their problem. `isRepeated`: it is reported each time that it is noticed, which
 * needs requests; the others last until their end is reported.
 */
export const PROBLEMS = {
  upstream_down: { recovery: 'upstream_up', isListed: true, isRepeated: true, severity: 'error' },
  token_failing: { recovery: 'token_ok', isListed: true, isRepeated: true, severity: 'error' },
  all_failed: { recovery: 'all_ok', isListed: false, isRepeated: true, severity: 'critical' },
  store_unavailable: { recovery: 'store_available', isListed: false, isRepeated: false, severity: 'warning' },
  reload_failed: { recovery: 'reload_ok', isListed: false, isRepeated: false, severity: 'warning' },
  certificate_expiring: {
    recovery: 'certificate_ok',
    isListed: false,
    isRepeated: false,
    severity: 'warning',
  },
} as const;

export type ProblemKind = keyof typeof PROBLEMS;
type RecoveryKind = (typeof PROBLEMS)[ProblemKind]['recovery'];
type Severity = (typeof PROBLEMS)[ProblemKind]['severity'];

/** What `notify[].events` may contain. */
export const ALERT_EVENTS = [
  'upstream_down',
  'upstream_up',
  'token_failing',
  'token_ok',
  'all_failed',
  'store_unavailable',
  'reload_failed',
  'certificate_expiring',
] as const;

export type AlertEvent = (typeof ALERT_EVENTS)[number];

/** A part that does not work, in words for its operator and without secrets. */
export interface Problem {
  readonly kind: ProblemKind;
  /** The upstream, token source, model or file; with `kind` it identifies the problem. Empty: there is only one. */
  readonly subject: string;
  /** What happened: `upstream chat is down: connection refused`. */
  readonly title: string;
  /** What was tried. */
  readonly tried?: string | undefined;
  /** What serves requests meanwhile. */
  readonly serving?: string | undefined;
  /** The command line that shows more. */
  readonly command: string;
}

/** One message: a problem, or its end. */
export interface Alert {
  readonly event: ProblemKind | RecoveryKind | 'test';
  readonly kind: ProblemKind | 'test';
  readonly subject: string;
  readonly isResolved: boolean;
  readonly severity: Severity | 'info';
  readonly title: string;
  readonly tried: string | null;
  readonly serving: string | null;
  readonly command: string | null;
  /** Wall clock: when the problem began. */
  readonly sinceMs: number;
  /** Wall clock of this change. */
  readonly atMs: number;
  /** How often the problem was reported since it began. */
  readonly reports: number;
  /** Changes since the last message about it that caused no message of their own. */
  readonly unsentChanges: number;
  /** Of the replica that sends it. */
  readonly hostname: string;
}

/** The message that `tokenferry alert test` sends. */
export function testAlert(hostname: string, atMs: number): Alert {
  return {
    event: 'test',
    kind: 'test',
    subject: '',
    isResolved: false,
    severity: 'info',
    title: 'this is a test of the alerts; nothing is wrong',
    tried: null,
    serving: null,
    command: null,
    sinceMs: atMs,
    atMs,
    reports: 1,
    unsentChanges: 0,
    hostname,
  };
}
