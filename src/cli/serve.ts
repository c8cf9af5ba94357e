import { loadConfig } from '../config/load/load-config.ts';
import { type RunningService, startService } from '../gateway/server.ts';
import { findAndLoad, readArguments, withUsage } from './config-argument.ts';

const USAGE = 'usage: tokenferry [serve] [--config FILE]';

/** `tokenferry serve`: runs until SIGTERM or SIGINT. Without any configuration the demo is run. */
export async function serve(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const { values } = readArguments(args, {});
    const loaded = findAndLoad(values.config);
    if (loaded === null) {
      console.log(
        'No config.yaml here: starting the demo. For your own upstream write one: README.md shows ten lines that do.\n',
      );
      return (await import('./demo.ts')).demo([]);
    }
    let service: RunningService;
    try {
      const file = loaded.files[0] ?? '';
      service = await startService(loaded, { loadAgain: () => loadConfig(file, process.env) });
    } catch (error) {
      console.error(`tokenferry cannot start: ${startProblem(error, loaded.config.address)}`);
      return 1;
    }
    // One reply that no test foresaw must not end the streams of everybody else.
    process.on('unhandledRejection', (error) => service.reportUncaughtError(error));
    process.on('uncaughtException', (error) => service.reportUncaughtError(error));
    process.on('SIGHUP', () => void service.reload());
    await untilToldToEnd();
    await service.close();
    // Everything is written; a reader of the log that does not read must not keep the process.
    process.exit(0);
  });
}

/** The first signal ends politely, the second at once. */
function untilToldToEnd(): Promise<void> {
  return new Promise((resolve) => {
    let isEnding = false;
    const end = (): void => {
      if (isEnding) process.exit(1);
      isEnding = true;
      resolve();
    };
    process.on('SIGTERM', end);
    process.on('SIGINT', end);
  });
}

function startProblem(error: unknown, address: string): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE')
    return `the address ${address} is in use. Stop what listens there, or set "address".`;
  if (code === 'EACCES')
    return `listening on ${address} is not permitted. Take a port above 1023, or set "address".`;
  return message;
}
