import assert from 'node:assert/strict';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { Secret, SecretRegistry } from '../../src/lib/secret.ts';
import { createTokenSource, type SourceSettings } from '../../src/tokens/sources/source-factory.ts';
import {
  type AcquireContext,
  type ChainedToken,
  type RawToken,
  type SourceDeps,
  type TokenSource,
  TokenSourceError,
} from '../../src/tokens/sources/token-source.ts';

/** The token of another source that no renewal replaces. */
export function chainedToken(token: string): ChainedToken {
  return {
    values: { token },
    accept: () => undefined,
    refuse: () => undefined,
    renew: async () => null,
  };
}

/** One source outside of a token manager: made, asked and closed by a test. */
export interface SourceBench {
  readonly source: TokenSource;
  readonly secrets: SecretRegistry;
  acquire(context?: Partial<AcquireContext>): Promise<RawToken>;
  /** The error of an acquisition; a success fails the test, and so does a secret in the message. */
  failure(context?: Partial<AcquireContext>): Promise<TokenSourceError>;
  close(): Promise<void>;
}

/** Makes a source named `corp`. Every `Secret` in the settings counts as known, as it does in the gateway. */
export function makeSource(
  settings: SourceSettings,
  deps: Partial<SourceDeps> & { name?: string } = {},
): SourceBench {
  const secrets = new SecretRegistry();
  const known = secretsIn(settings);
  for (const secret of known) secrets.add(secret);
  const clock: Clock = deps.clock ?? systemClock;
  const source = createTokenSource(deps.name ?? 'corp', settings, {
    clock,
    secrets,
    tokenOf: async (name) => assert.fail(`no source ${name}`),
    sourceOf: (name) => assert.fail(`no source ${name}`),
    ...deps,
  });
  const acquire = async (context: Partial<AcquireContext> = {}) =>
    source.acquire({
      signal: AbortSignal.timeout(10_000),
      reason: 'demand',
      force: false,
      clock,
      ...context,
    });
  return {
    source,
    secrets,
    acquire,
    async failure(context) {
      const error: unknown = await acquire(context).then(
        () => assert.fail('the source gave a token'),
        (reason: unknown) => reason,
      );
      assert.ok(error instanceof TokenSourceError, String(error));
      for (const secret of known) assert.ok(!error.message.includes(secret), `a secret in: ${error.message}`);
      return error;
    },
    async close() {
      await source.close?.();
    },
  };
}

function secretsIn(value: unknown): string[] {
  if (value instanceof Secret) return [value.reveal()];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(secretsIn);
}
