/**
 * A scalar of the file that is more than its text: a plain number or boolean, whose source must survive for
 * fields that are text (`sk: 0123`), or a replaced `${...}`, which is text unless the field requires a number or a
 * boolean. Plain strings stay JavaScript strings; null stays absent.
 */
export class FileScalar {
  /** As written in the file, or the replaced text. */
  readonly text: string;
  /** As YAML understood it; the text itself for a replaced `${...}`. */
  readonly value: string | number | boolean;
  /** Written in the file; text around `${...}`; or nothing but one `${...}`. */
  readonly origin: 'file' | 'mixed' | 'reference';

  constructor(text: string, value: string | number | boolean, origin: FileScalar['origin']) {
    this.text = text;
    this.value = value;
    this.origin = origin;
  }

  get isInterpolated(): boolean {
    return this.origin !== 'file';
  }
}

/** What reading the file gives before the schema sees it; YAML's null is undefined: an empty key is an absent key. */
export type FileValue = string | FileScalar | undefined | readonly FileValue[] | FileMapping;
export interface FileMapping {
  readonly [key: string]: FileValue;
}

/** The text of a scalar, with any YAML type; null when `value` is not a scalar. */
export function scalarText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (value instanceof FileScalar) return value.text;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return null;
}

export function isMapping(value: unknown): value is FileMapping {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof FileScalar)
  );
}

/** What a value is, in words for people; never the value itself, which may be a secret in the wrong place. */
export function kindOf(value: unknown): string {
  if (value === undefined || value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (isMapping(value)) return 'a mapping';
  const plain = value instanceof FileScalar ? value.value : value;
  return typeof plain === 'number' ? 'a number' : typeof plain === 'boolean' ? 'a boolean' : 'text';
}
