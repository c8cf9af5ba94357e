import { z } from 'zod';
import { configSchema } from './schema.ts';

/** JSON Schema (2020-12) of what may be written in the file, for editors that complete and check YAML. */
export function jsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    unrepresentable: 'any',
    reused: 'inline',
    override: ({ jsonSchema: node }) => forEditors(node),
  });
  return { ...schema, title: 'tokenferry configuration' };
}

/** Takes out what only the reference needs, and allows null for "not set" where the file allows it. */
function forEditors(node: Record<string, unknown>): void {
  delete node.kind;
  if (node.default === null) delete node.default;
  if (node.isNullable !== true) return;
  delete node.isNullable;
  const { description, shorthand, ...rest } = node;
  delete node.shorthand;
  for (const key of Object.keys(rest)) delete node[key];
  node.anyOf = [rest, ...(shorthand === undefined ? [] : [{ enum: shorthand }]), { type: 'null' }];
  if (description !== undefined) node.description = description;
}
