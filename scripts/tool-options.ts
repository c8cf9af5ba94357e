import { type ParseArgsConfig, parseArgs } from 'node:util';

type Parsed<Config extends ParseArgsConfig> = ReturnType<typeof parseArgs<Config>>;

/** As of commands everywhere: the command line is wrong, nothing was done. */
const BAD_USAGE = 2;

/**
 * Parses the command line of a tool of this repository. `--help` prints `usage` and ends the process; an option that
 * the tool does not have ends it with one line and exit code 2.
 */
export function toolOptions<Config extends ParseArgsConfig>(usage: string, config: Config): Parsed<Config> {
  const given = process.argv.slice(2);
  if (given.includes('--help') || given.includes('-h')) {
    console.log(usage);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    // Behind the first sentence it explains how to give an argument that begins with a dash.
    const [what = ''] = (error as Error).message.split('. ');
    return refuse(what);
  }
}

/** The number of an option of a tool; any other text ends the process as an unknown option does. */
export function numberOption(name: string, text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number) || number < 0)
    return refuse(`--${name} is to be a number, and "${text}" is none`);
  return number;
}

function refuse(what: string): never {
  console.error(`${what}; --help lists what there is`);
  process.exit(BAD_USAGE);
}
