import type { z } from 'zod';
import type { PathStep } from '../config-error.ts';
import { isMapping, scalarText } from '../types/scalar.ts';

/** What the schema says of one key, without zod's wrappers. */
interface SchemaNode {
  readonly shape: Readonly<Record<string, z.core.$ZodType>> | null;
  /** The mappings that may stand here, told apart by their `type`. */
  readonly variants: readonly z.core.$ZodType[];
  /** What a list holds, or a mapping whose keys the user chooses. */
  readonly item: z.core.$ZodType | null;
}

/** Takes defaults, options and transformations off, down to what may be written in the file. */
export function schemaNode(schema: z.core.$ZodType): SchemaNode {
  let inner = schema as z.core.$ZodTypes;
  for (;;) {
    const { def } = inner._zod;
    if (def.type === 'prefault' || def.type === 'optional') inner = def.innerType as z.core.$ZodTypes;
    else if (def.type === 'pipe') inner = writtenSide(def) as z.core.$ZodTypes;
    else break;
  }
  const { def } = inner._zod;
  const bare = { shape: null, variants: [], item: null };
  if (def.type === 'object') return { ...bare, shape: def.shape };
  if (def.type === 'union') return { ...bare, variants: def.options };
  if (def.type === 'array') return { ...bare, item: def.element };
  return def.type === 'record' ? { ...bare, item: def.valueType } : bare;
}

/** A pipe that begins with a transformation is a preprocessing: what is written is on its other side. */
function writtenSide(def: z.core.$ZodPipeDef): z.core.$ZodType {
  return (def.in as z.core.$ZodTypes).def.type === 'transform' ? def.out : def.in;
}

/** The keys that may stand in the mapping at `path` of `root`; empty when any may or it is no mapping. */
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
 * Where in the file a key would be right, e.g. `record` for `retention`; empty at the top. Null when it is known
 * nowhere, or in several places.
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

/** Of several variants, the one whose `type` the value names. */
function pick(node: SchemaNode, value: unknown): SchemaNode {
  if (node.variants.length === 0) return node;
  const type = isMapping(value) ? scalarText(value.type) : null;
  const variants = node.variants.map(schemaNode);
  return variants.find((variant) => typeOf(variant) === type) ?? { shape: null, variants: [], item: null };
}

/** The `type` that a variant stands for. */
export function typeOf(variant: SchemaNode): string | null {
  const type = variant.shape?.type as z.core.$ZodTypes | undefined;
  return type?.def.type === 'literal' ? String(type.def.values[0]) : null;
}

function child(value: unknown, step: PathStep): unknown {
  if (Array.isArray(value)) return value[Number(step)];
  return isMapping(value) && Object.hasOwn(value, String(step)) ? value[String(step)] : undefined;
}

/** What the reference tells of one key. */
interface KeyFacts {
  readonly description: string;
  /** `duration`, `order | random` …; null for a mapping or list with keys of its own. */
  readonly kind: string | null;
  /** As it would be written in the file; undefined for a key that is required. */
  readonly fallback: unknown;
}

export function keyFacts(schema: z.core.$ZodType): KeyFacts {
  const { description = '', kind = null } = (schema as z.ZodType).meta() ?? {};
  const { def } = (schema as z.core.$ZodTypes)._zod;
  const fallback = def.type === 'prefault' ? def.defaultValue : undefined;
  return { description, kind: kind === null ? null : String(kind), fallback };
}
