/**
 * What all replicas know about one problem at one alert service. A replica sends a message only if it is the one that
 * changed this.
 */
export interface SharedProblem {
  /** What the last message said. */
  readonly isOpen: boolean;
  /** When a message of each kind was sent last, by the clock of the store. */
  readonly openedMs: number | null;
  readonly endedMs: number | null;
  /** When a message was found to be undeliverable. */
  readonly withdrawnMs: number | null;
  /** The replica that sent the last message. */
  readonly sender: string | null;
  /** The replicas that have the problem. */
  readonly reporters: Readonly<Record<string, Reporter>>;
}

interface Reporter {
  /** When it was heard of last. */
  readonly seenMs: number;
  /** When it had evidence of the problem last. */
  readonly failedMs: number;
}

/** The view of one replica: it has the problem, or has it no longer. */
export interface ReplicaReport {
  readonly replica: string;
  readonly isOpen: boolean;
  /** Since its last evidence of the problem. */
  readonly failedAgoMs: number;
  /** Minimum time between two messages of the same kind. */
  readonly everyMs: number;
  /** Since it was certain that the service knows of the problem; null: it does not, as far as this replica knows. */
  readonly toldAgoMs: number | null;
}

/**
 * `send`: this replica sends the message. `told`: none is needed. `ended`: none is needed, as another replica saw the end of the
 * problem after the evidence of this one. `wait`: to be asked again after `ms`.
 */
export type SharedDecision =
  | { readonly kind: 'send' }
  | { readonly kind: 'told' }
  | { readonly kind: 'ended' }
  | { readonly kind: 'wait'; readonly ms: number };

/** The store of all problems that replicas share. Calls reject when it is not available. */
export interface SharedAlerts {
  /** `problem` names it together with its alert service. */
  report(problem: string, report: Omit<ReplicaReport, 'replica'>): Promise<SharedDecision>;
  /** The message of this replica could not be delivered: another one may be sent. */
  withdraw(problem: string): Promise<void>;
  close(): Promise<void>;
}

export const UNKNOWN_PROBLEM: SharedProblem = {
  isOpen: false,
  openedMs: null,
  endedMs: null,
  withdrawnMs: null,
  sender: null,
  reporters: {},
};

/** A replica that was not heard of for this time has ended: it reports every 15 s while it has a problem. */
const REPORTER_LIFE_MS = 60_000;
/** A recovery that one replica sees is held while another one has seen a failure within this time. */
const FRESH_MS = 60_000;

/** What follows from a report, and what is known then. */
export function decide(
  known: SharedProblem,
  report: ReplicaReport,
  nowMs: number,
): { readonly next: SharedProblem; readonly decision: SharedDecision } {
  return report.isOpen ? decideOpen(known, report, nowMs) : decideEnd(known, report, nowMs);
}

function decideOpen(
  known: SharedProblem,
  report: ReplicaReport,
  nowMs: number,
): { next: SharedProblem; decision: SharedDecision } {
  const { replica, failedAgoMs, everyMs } = report;
  const failedMs = nowMs - failedAgoMs;
  // This replica had no request since.
  if (known.endedMs !== null && failedMs < known.endedMs) return { next: known, decision: { kind: 'ended' } };
  const alive = aliveReporters(known, nowMs);
  const reporters = { ...alive, [replica]: { seenMs: nowMs, failedMs } };
  const isKnown = (known.isOpen && Object.keys(alive).length > 0) || isTold(known, report, nowMs);
  if (isKnown) {
    const openedMs = known.openedMs ?? nowMs;
    return { next: { ...known, isOpen: true, openedMs, reporters }, decision: { kind: 'told' } };
  }
  const waitMs = known.openedMs === null ? 0 : known.openedMs + everyMs - nowMs;
  if (waitMs > 0)
    return { next: { ...known, isOpen: false, reporters }, decision: { kind: 'wait', ms: waitMs } };
  return {
    next: { ...known, isOpen: true, openedMs: nowMs, sender: replica, reporters },
    decision: { kind: 'send' },
  };
}

function decideEnd(
  known: SharedProblem,
  report: ReplicaReport,
  nowMs: number,
): { next: SharedProblem; decision: SharedDecision } {
  const { replica, everyMs } = report;
  const { [replica]: _left, ...reporters } = aliveReporters(known, nowMs);
  if (!known.isOpen && !isTold(known, report, nowMs))
    return { next: { ...known, reporters }, decision: { kind: 'told' } };
  const lastFailedMs = Math.max(...Object.values(reporters).map(({ failedMs }) => failedMs));
  const heldMs = lastFailedMs + FRESH_MS - nowMs;
  const waitMs = Math.max(heldMs, known.endedMs === null ? 0 : known.endedMs + everyMs - nowMs);
  if (waitMs > 0) return { next: { ...known, reporters }, decision: { kind: 'wait', ms: waitMs } };
  return {
    next: { ...known, isOpen: false, endedMs: nowMs, sender: replica, reporters: {} },
    decision: { kind: 'send' },
  };
}

/** Whether the service was told by this replica, or with its knowledge, and of no end since: also while the store was away. */
function isTold(
  { endedMs, withdrawnMs }: SharedProblem,
  { toldAgoMs }: ReplicaReport,
  nowMs: number,
): boolean {
  return toldAgoMs !== null && nowMs - toldAgoMs > Math.max(endedMs ?? 0, withdrawnMs ?? 0);
}

function aliveReporters({ reporters }: SharedProblem, nowMs: number): Record<string, Reporter> {
  return Object.fromEntries(
    Object.entries(reporters).filter(([, { seenMs }]) => seenMs + REPORTER_LIFE_MS > nowMs),
  );
}

/** What is known after the message of `replica` could not be delivered; unchanged when another one was sent since. */
export function withdrawn(known: SharedProblem, replica: string, nowMs: number): SharedProblem {
  if (known.sender !== replica) return known;
  return { ...known, isOpen: !known.isOpen, withdrawnMs: nowMs, sender: null };
}
