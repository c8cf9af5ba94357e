import { sendTestAlert } from '../gateway/alert-channels.ts';
import { systemClock } from '../lib/clock.ts';
import { SecretRegistry } from '../lib/secret.ts';
import {
  CONFIG_OPTION,
  CommandFailure,
  loadOrThrow,
  readArguments,
  UsageError,
  withUsage,
} from './arguments.ts';

const USAGE = `usage: tokenferry alert test [NAME] [--config FILE]

  NAME   the name or type of an item of "notify", or feishu or matrix from the environment; default: all of them

Sends one test message and prints what came back. Exit code 1: it was not accepted.`;

/** `tokenferry alert test NAME`: sends one message and prints what the service responded. */
export async function alert(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    const { values, positionals } = readArguments(args, CONFIG_OPTION, 2);
    const [action, name] = positionals;
    if (action !== 'test')
      throw new UsageError(
        action === undefined ? 'Say what to do: alert test.' : `Unknown action "${action}".`,
      );
    const { config, secrets } = loadOrThrow(values.config, ([root]) => root === 'notify');
    const channels = config.notify.filter((one) => name === undefined || one.name === name);
    if (channels.length === 0)
      throw noChannel(
        name,
        config.notify.map((one) => one.name),
      );
    const registry = new SecretRegistry();
    for (const secret of secrets) registry.add(secret.reveal());
    let isAccepted = true;
    for (const channel of channels) {
      for (const result of await sendTestAlert(channel, config.hostname, systemClock)) {
        const verdict = result.isAccepted ? 'sent' : 'NOT ACCEPTED';
        console.log(registry.scrub(`${channel.name} (${channel.type}): ${verdict}: ${result.words}`));
        isAccepted &&= result.isAccepted;
      }
    }
    return isAccepted ? 0 : 1;
  });
}

function noChannel(name: string | undefined, names: readonly string[]): Error {
  if (names.length === 0)
    return new CommandFailure(
      1,
      'No alerts are configured: add "notify" to the configuration, or set FEISHU_WEBHOOK or MATRIX_API in the environment.',
    );
  return new UsageError(`NAME must be one of ${names.join(', ')}, not "${name}".`);
}
