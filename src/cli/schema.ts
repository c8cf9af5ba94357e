import { jsonSchema } from '../config/schema/json-schema.ts';
import { readArguments, withUsage } from './arguments.ts';

const USAGE = 'usage: tokenferry schema';

/** `tokenferry schema`: what editors need to complete and check a configuration. */
export async function schema(args: readonly string[]): Promise<number> {
  return withUsage(USAGE, async () => {
    readArguments(args, {});
    console.log(JSON.stringify(jsonSchema(), null, 2));
    return 0;
  });
}
