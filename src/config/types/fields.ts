import { z } from 'zod';
import { FileScalar, kindOf, scalarText } from './scalar.ts';

/**
 * How one type of value is written in the file and how it is parsed. `read` gets the value of the file (a string, a
 * `FileScalar`, a list, a mapping) or a default in the same form.
 */
export interface FieldType<T> {
  /** For the reference, e.g. `duration` or `order | random`. */
  readonly name: string;
  /** JSON Schema of what may be written, for editors. */
  readonly json: Readonly<Record<string, unknown>>;
  read(value: unknown): T | InvalidValue;
}

/** The message for an absent field without a default. */
export const IS_REQUIRED = 'is required';

/**
 * Leaves are built here and not of zod's own strings and numbers, because only the field knows whether the
 * plain scalar `0123` is a number or a key.
 */
function leaf<T>(kind: Pick<FieldType<T>, 'read'>) {
  return z.unknown().transform((value, context): T => {
    const result = value === undefined ? new InvalidValue(IS_REQUIRED) : kind.read(value);
    if (!(result instanceof InvalidValue)) return result;
    // One value can be wrong in several places (a list): each gets its own problem.
    for (const { message, path } of result.all()) {
      context.issues.push({ code: 'custom', message, path: [...path], input: undefined });
    }
    return z.NEVER;
  });
}

/** A required field. */
export function required<T>(kind: FieldType<T>, description: string) {
  return leaf(kind).meta({ ...kind.json, description, kind: kind.name });
}

/** A field that is null when it is absent, or empty: `"${ADMIN_KEY:-}"` with the variable unset. */
export function optional<T>(kind: FieldType<T>, description: string) {
  const isUnset = (value: unknown) => value === null || scalarText(value) === '';
  return leaf<T | null>({ read: (value) => (isUnset(value) ? null : kind.read(value)) })
    .prefault(null)
    .meta({ ...kind.json, description, kind: kind.name, isNullable: true });
}

/** A field with a default, written as in the file (`'120s'`, not 120000). */
export function field<T>(kind: FieldType<T>, fallback: unknown, description: string) {
  return leaf(kind)
    .prefault(fallback)
    .meta({ ...kind.json, description, kind: kind.name });
}

/** The keys of one variant of a union; elsewhere `section`. */
export function variant<Shape extends z.core.$ZodLooseShape>(shape: Shape, description: string) {
  return z.strictObject(shape, { error: notA('mapping') }).meta({ description });
}

/** A mapping with exactly these keys. */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape, description: string) {
  return z.preprocess(unwrapped, variant(shape, description)).meta({ description });
}

/** A mapping with exactly these keys, all of which may be left out, and so may the mapping. */
export function sectionOr<Shape extends z.core.$ZodLooseShape>(shape: Shape, description: string) {
  return section(shape, description).prefault({}).meta({ description });
}

/** A mapping with exactly these keys, or null. */
export function sectionOrNull<Shape extends z.core.$ZodLooseShape>(shape: Shape, description: string) {
  return section(shape, description)
    .optional()
    .transform((value) => value ?? null)
    .meta({ description, isNullable: true });
}

/** To zod every instance of a class is a mapping, also a scalar of ours. */
export function unwrapped(value: unknown): unknown {
  return value instanceof FileScalar ? value.value : value;
}

/** A list of `item`. */
export function listOf<Item extends z.ZodType>(item: Item, description: string) {
  return z
    .array(item, { error: notA('list') })
    .prefault([])
    .meta({ description });
}

/** A mapping from names of the user's choice to `item`. */
export function named<Item extends z.ZodType>(item: Item, description: string) {
  return z
    .record(z.string(), item, { error: notA('mapping') })
    .prefault({})
    .meta({ description });
}

export function notA(what: string) {
  return (issue: { readonly code?: string | undefined; readonly input?: unknown }) =>
    issue.code === 'invalid_type' ? `must be a ${what}, is ${kindOf(issue.input)}` : undefined;
}

/** Why a value is invalid; never quotes the value, because it may be a secret. */
export class InvalidValue {
  readonly message: string;
  readonly #parts: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[];

  constructor(message: string, parts?: readonly { path: readonly PropertyKey[]; message: string }[]) {
    this.message = message;
    this.#parts = parts ?? [{ path: [], message }];
  }

  all(): readonly { readonly path: readonly PropertyKey[]; readonly message: string }[] {
    return this.#parts;
  }
}
