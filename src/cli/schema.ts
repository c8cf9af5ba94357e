import { jsonSchema } from '../config/schema/json-schema.ts';

/** `tokenferry schema`: what editors need to complete and check a configuration. */
export async function schema(_args: readonly string[]): Promise<number> {
  console.log(JSON.stringify(jsonSchema(), null, 2));
  return 0;
}
