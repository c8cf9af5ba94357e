import { z } from 'zod';
import type { PathStep } from '../config-error.ts';
import { isMapping, scalarText } from '../types/scalar.ts';

/** The schema of one key, without zod's wrappers. */
interface SchemaNode {
  readonly shape: Readonly<Record<string, z.core.$ZodType>> | null;
  /** The mappings that are allowed here, distinguished by their `type`. */
  readonly variants: readonly z.core.$ZodType[];
  /** The items of a list, or the values of a mapping whose keys the user chooses. */
  readonly item: z.core.$ZodType | null;
}

const LEAF: SchemaNode = { shape: null, variants: [], item: null };

/** Removes defaults, options and transformations: what remains is what may be written in the file. */
export function schemaNode(schema: z.core.$ZodType): SchemaNode {
  let inner = schema;
  for (;;) {
    if (inner instanceof z.ZodPrefault || inner instanceof z.ZodOptional) inner = inner.unwrap();
    // A pipe that starts with a transformation is a preprocessing: the file's side is its output.
    else if (inner instanceof z.ZodPipe) inner = inner.in instanceof z.ZodTransform ? inner.out : inner.in;
    else break;
  }
  if (inner instanceof z.ZodObject) return { ...LEAF, shape: inner.shape };
  if (inner instanceof z.ZodUnion) return { ...LEAF, variants: inner.options };
  if (inner instanceof z.ZodArray) return { ...LEAF, item: inner.element };
  return inner instanceof z.ZodRecord ? { ...LEAF, item: inner.valueType } : LEAF;
}

/** The keys that are allowed in the mapping at `path` of `root`; empty when any key is, or when it is no mapping. */
export function keysAt(schema: z.core.$ZodType, root: unknown, path: readonly PropertyKey[]): string[] {
  let node = pick(schemaNode(schema), root);
  let value = root;
  for (const step of path) {
    value = child(value, step as PathStep);
    const next = node.shape === null ? node.item : (node.shape[String(step)] ?? null);
    if (next === null) return [];
    node = pick(schemaNode(next), value);
  }
  return node.shape === null ? [] : Object.keys(node.shape);
}

/**
 * The path at which a key is valid, e.g. `record` for `retention`; empty at the top. Null when it is valid nowhere, or in
 * several places.
 */
export function homeOf(schema: z.core.$ZodType, key: string): string | null {
  const top = Object.entries(schemaNode(schema).shape ?? {});
  const homes = top.some(([name]) => name === key) ? [''] : [];
  for (const [name, child] of top) {
    const { shape, item } = schemaNode(child);
    const inner = shape ?? (item === null ? null : schemaNode(item).shape);
    if (inner !== null && Object.hasOwn(inner, key)) homes.push(shape === null ? `${name}[]` : name);
  }
  return homes.length === 1 ? (homes[0] ?? null) : null;
}

/** Of several variants, the one whose `type` the value has. */
function pick(node: SchemaNode, value: unknown): SchemaNode {
  if (node.variants.length === 0) return node;
  const type = isMapping(value) ? scalarText(value.type) : null;
  return node.variants.map(schemaNode).find((variant) => typeOf(variant) === type) ?? LEAF;
}

/** The value of `type` in a variant. */
export function typeOf(variant: SchemaNode): string | null {
  const type = variant.shape?.type;
  return type instanceof z.ZodLiteral ? String([...type.values][0]) : null;
}

function child(value: unknown, step: PathStep): unknown {
  if (Array.isArray(value)) return value[Number(step)];
  return isMapping(value) && Object.hasOwn(value, String(step)) ? value[String(step)] : undefined;
}

/** The entry of one key in the reference. */
interface KeyFacts {
  readonly description: string;
  /** `duration`, `order | random` …; null for a mapping or list with keys of its own. */
  readonly kind: string | null;
  /** As it would be written in the file; undefined for a required key. */
  readonly fallback: unknown;
}

export function keyFacts(schema: z.core.$ZodType): KeyFacts {
  const { description = '', kind = null } = schema instanceof z.ZodType ? (schema.meta() ?? {}) : {};
  const fallback = schema instanceof z.ZodPrefault ? schema.def.defaultValue : undefined;
  return { description, kind: kind === null ? null : String(kind), fallback };
}
