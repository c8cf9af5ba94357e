import { basename } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Logger } from '../observability/logger.ts';
import { quietWords } from '../tokens/issuer/issuer-refusal.ts';

/**
 * Logs an error that nothing caught: a mistake of ours, or of a token source's own code when it comes from there. The
 * words of own code are quieted as where it throws them: they may hold what only it knows to be a secret.
 */
export function reportDefect(logger: Logger, error: unknown, tokens: Config['tokens']): void {
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  const module = Object.values(tokens)
    .flatMap((source) => (source.type === 'function' ? [source.module] : []))
    .find((path) => stack?.includes(basename(path)));
  if (module === undefined) {
    logger.error('a mistake of tokenferry that nothing caught; please report it', { error: message, stack });
    return;
  }
  logger.error(
    `an error in ${module} that it did not catch: await every promise there, and catch its errors`,
    {
      error: quietWords(message, (text) => text),
    },
  );
}
