import type { Clock } from '../../lib/clock.ts';
import { type Alert, PROBLEMS, type Problem, type ProblemKind } from './alert.ts';
import type { AlertChannel } from './alert-channel.ts';

interface OpenProblem {
  /** As it was reported last. */
  problem: Problem;
  readonly sinceMs: number;
  reports: number;
  lastReportMonoMs: number;
}

/** The problems that exist now. Each change goes to every channel; a problem that is reported again is no change. */
export class Alerts {
  readonly #clock: Clock;
  readonly #hostname: string;
  readonly #open = new Map<string, OpenProblem>();
  #channels: readonly AlertChannel[] = [];

  constructor(hostname: string, clock: Clock) {
    this.#hostname = hostname;
    this.#clock = clock;
  }

  /** Replaces the channels; a new one is told of the problems that exist. The caller closes the previous ones. */
  setChannels(next: readonly AlertChannel[]): void {
    const known = new Set(this.#channels);
    this.#channels = next;
    for (const channel of next) {
      if (known.has(channel)) continue;
      for (const open of this.#open.values()) channel.changed(this.#alertOf(open, null));
    }
  }

  /** A problem exists: the first report of it is a change. */
  raise(problem: Problem): void {
    const key = keyOf(problem.kind, problem.subject);
    const open = this.#open.get(key);
    if (open !== undefined) {
      open.problem = problem;
      open.reports += 1;
      open.lastReportMonoMs = this.#clock.monoMs();
      return;
    }
    const begun: OpenProblem = {
      problem,
      sinceMs: this.#clock.wallMs(),
      reports: 1,
      lastReportMonoMs: this.#clock.monoMs(),
    };
    this.#open.set(key, begun);
    this.#publish(this.#alertOf(begun, null));
  }

  /** Counts one more report of a problem; false when there is no such problem. */
  countAgain(kind: ProblemKind, subject: string): boolean {
    const open = this.#open.get(keyOf(kind, subject));
    if (open === undefined) return false;
    open.reports += 1;
    open.lastReportMonoMs = this.#clock.monoMs();
    return true;
  }

  /** A problem is over; nothing happens when there was none. `end` says what is the case now. */
  clear(kind: ProblemKind, subject: string, end: Pick<Problem, 'title' | 'serving'>): void {
    const key = keyOf(kind, subject);
    const open = this.#open.get(key);
    if (open === undefined) return;
    this.#open.delete(key);
    this.#publish(this.#alertOf(open, end));
  }

  /** Tells channels that replicas share of each problem that exists; false when there is none. */
  refresh(): boolean {
    const nowMs = this.#clock.monoMs();
    for (const { problem, lastReportMonoMs } of this.#open.values()) {
      const failedAgoMs = PROBLEMS[problem.kind].isRepeated ? nowMs - lastReportMonoMs : 0;
      for (const channel of this.#channels) channel.stillOpen(problem, failedAgoMs);
    }
    return this.#open.size > 0;
  }

  isOpen(kind: ProblemKind, subject: string): boolean {
    return this.#open.has(keyOf(kind, subject));
  }

  /** The problems of one kind, by subject. */
  subjectsOf(kind: ProblemKind): string[] {
    return [...this.#open.values()].flatMap(({ problem }) =>
      problem.kind === kind ? [problem.subject] : [],
    );
  }

  #publish(alert: Alert): void {
    for (const channel of this.#channels) channel.changed(alert);
  }

  #alertOf(
    { problem, sinceMs, reports }: OpenProblem,
    end: Pick<Problem, 'title' | 'serving'> | null,
  ): Alert {
    const { recovery, severity } = PROBLEMS[problem.kind];
    return {
      event: end === null ? problem.kind : recovery,
      kind: problem.kind,
      subject: problem.subject,
      isResolved: end !== null,
      severity: end === null ? severity : 'info',
      title: end?.title ?? problem.title,
      tried: end === null ? (problem.tried ?? null) : null,
      serving: (end === null ? problem.serving : end.serving) ?? null,
      command: end === null ? problem.command : null,
      sinceMs,
      atMs: this.#clock.wallMs(),
      reports,
      unsentChanges: 0,
      hostname: this.#hostname,
    };
  }
}

function keyOf(kind: ProblemKind, subject: string): string {
  return `${kind}\n${subject}`;
}
