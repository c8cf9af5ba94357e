import { type RunningService, startService } from '../gateway/server.ts';
import { CONFIG_OPTION, findAndLoad, readArguments, withUsage } from './arguments.ts';
import { loadWithEnvironment } from './environment-file.ts';

const USAGE = 'usage: tokenferry [serve] [--config FILE]';

/** `tokenferry serve`: runs until SIGTERM or SIGINT. Without any configuration the demo is run. */
export async function serve(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const { values } = readArguments(args, CONFIG_OPTION);
    const loaded = findAndLoad(values.config);
    if (loaded === null) {
      if (process.env.TOKENFERRY_IMAGE !== undefined) {
        console.error(
          'No configuration in this container: mount a folder with config.yaml at /data, or the file at /config.yaml. To try the demo, run the command "demo".',
        );
        return 2;
      }
      console.log(
        'No configuration found (./config.yaml, /config.yaml): starting the demo. README.md shows a configuration of ten lines.\n',
      );
      return (await import('./demo.ts')).demo([]);
    }
    let service: RunningService;
    try {
      const file = loaded.files[0] ?? '';
      service = await startService(loaded, {
        loadAgain: () => loadWithEnvironment(file),
        tryConfiguration: async (...trial) => (await import('./trial.ts')).tryConfiguration(...trial),
      });
    } catch (error) {
      console.error(`tokenferry cannot start: ${startProblem(error, loaded.config.address)}`);
      return 1;
    }
    // An unexpected error of one request must not end the streams of the others.
    process.on('unhandledRejection', (error) => service.reportUncaughtError(error));
    process.on('uncaughtException', (error) => service.reportUncaughtError(error));
    process.on('SIGHUP', () => void service.reload());
    await untilSignal();
    await service.close();
    // All queues are flushed; a blocked reader of standard output must not keep the process.
    process.exit(0);
  });
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilSignal(): Promise<void> {
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
    return `address ${address} is already in use. Stop the process that listens there, or change "address".`;
  if (code === 'EACCES') return `permission denied to listen on ${address}. Use a port above 1023.`;
  return message;
}
