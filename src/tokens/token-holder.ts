import type { Clock } from '../clock.ts';
import type { SecretRegistry } from '../secret.ts';
import type { HolderSettings } from './holder-settings.ts';
import type { HolderStatus } from './holder-status.ts';
import type { Lease } from './lease.ts';
import type { TokenEvent } from './token-event.ts';
import type { TokenSource } from './token-source.ts';

export interface HolderOptions {
  readonly name: string;
  readonly source: TokenSource;
  readonly settings: HolderSettings;
  readonly clock: Clock;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly secrets: SecretRegistry;
  readonly onEvent?: (event: TokenEvent) => void;
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  readonly maxWaitMs?: number | undefined;
}

export class TokenHolder {
  readonly name: string;

  constructor(options: HolderOptions) {
    this.name = options.name;
  }

  start(): Promise<void> {
    throw new Error('not built yet');
  }

  peek(): Lease | null {
    throw new Error('not built yet');
  }

  get(_options: WaitOptions = {}): Promise<Lease> {
    throw new Error('not built yet');
  }

  renewAfter(
    _rejected: Lease,
    _options: WaitOptions & { readonly status?: number | undefined } = {},
  ): Promise<Lease | null> {
    throw new Error('not built yet');
  }

  reportAccepted(_lease: Lease): void {}

  refresh(_options: WaitOptions = {}): Promise<Lease> {
    throw new Error('not built yet');
  }

  status(): HolderStatus {
    throw new Error('not built yet');
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}
