#!/usr/bin/env node
import nodeModule from 'node:module';

/**
 * The command line: the first word names a command, everything else belongs to it. Commands are loaded when they are
 * needed, so that `--help` and the service itself do not pay for the others.
 */
const COMMANDS: Readonly<Record<string, () => Promise<(args: readonly string[]) => Promise<number>>>> = {
  serve: async () => (await import('./cli/serve.ts')).serve,
  init: async () => (await import('./cli/init.ts')).init,
  check: async () => (await import('./cli/check.ts')).check,
  verify: async () => (await import('./cli/verify.ts')).verify,
  token: async () => (await import('./cli/token.ts')).token,
  alert: async () => (await import('./cli/alert.ts')).alert,
  list: async () => (await import('./cli/list.ts')).list,
  log: async () => (await import('./cli/log.ts')).log,
  schema: async () => (await import('./cli/schema.ts')).schema,
  import: async () => (await import('./cli/import/import-file.ts')).importFile,
  demo: async () => (await import('./cli/demo.ts')).demo,
};

const USAGE = `usage: tokenferry [command] [options]

  serve    run the gateway (default; without a configuration: the demo)   --config FILE
  init     write a configuration from a curl line of the token endpoint   --from-curl LINE --endpoint URL [--output FILE]
  check    check the configuration, this machine, upstreams and tokens    --config FILE [--wait 15s] [--chat] [--model NAME]
  verify   test a running gateway as an OpenAI client                     --url URL --key KEY --model MODEL
  token    obtain a token and print its lifetime, not its value           NAME --config FILE [--refresh] [--show]
  alert    send a test message to an alert service of the configuration   test [NAME] --config FILE
  list     upstreams and models of the configuration, without secrets     --config FILE
  log      recorded requests                                              --config FILE [--follow] [--errors] [--since 1h|TIME] …
  schema   the JSON schema of the configuration, for editors
  import   a configuration from one of openai-api-route or LiteLLM         FILE [--output FILE]; its records: --records DB
  demo     a gateway with a built-in issuer and model                     [--port 8888] [--token-life SECONDS]

  --version prints the version; COMMAND --help the options of a command.

Without --config the configuration is ./config.yaml, else /config.yaml.`;

async function main(args: readonly string[]): Promise<number> {
  const [first = 'serve', ...rest] = args;
  if (first === '--help' || first === '-h' || first === 'help') {
    console.log(USAGE);
    return 0;
  }
  if (first === '--version' || first === '-v') {
    const { packageVersion } = await import('./lib/version.ts');
    console.log(`tokenferry ${packageVersion()} (Node ${process.versions.node})`);
    return 0;
  }
  // openai-api-route's flag for the same, at any place.
  if (first.startsWith('-') && args.some(isListFlag))
    return run(
      'list',
      args.filter((arg) => !LIST_FLAG.test(arg)),
    );
  if (first.startsWith('-')) return run('serve', args);
  if (Object.hasOwn(COMMANDS, first)) return run(first, rest);
  console.error(`Unknown command "${first}".\n\n${USAGE}`);
  return 2;
}

const LIST_FLAG = /^--?list(?:=.*)?$/;

function isListFlag(arg: string): boolean {
  return LIST_FLAG.test(arg) && !/=(?:0|f|false)$/i.test(arg);
}

async function run(name: string, args: readonly string[]): Promise<number> {
  // Output that nobody reads any more (`| head`) is dropped, and the command ends with its own code. The log of the
  // service has a stream of its own.
  if (name !== 'serve') process.stdout.on('error', () => undefined);
  const command = await COMMANDS[name]?.();
  return command === undefined ? 2 : command(args);
}

// Caches compiled code for the next start, which then takes half the time; does nothing where it cannot write.
nodeModule.enableCompileCache?.();
process.exitCode = await main(process.argv.slice(2));
