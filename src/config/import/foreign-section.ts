import { type FileMapping, type FileValue, isMapping, scalarText } from '../types/scalar.ts';

/** A mapping of another product's file that knows what of it was read, so that nothing is dropped silently. */
export class ForeignSection {
  readonly #mapping: FileMapping;
  readonly #read = new Set<string>();

  constructor(value: FileValue) {
    this.#mapping = isMapping(value) ? value : {};
  }

  /** Null: absent or empty. */
  text(key: string): string | null {
    this.#read.add(key);
    const text = scalarText(this.#mapping[key]);
    return text === null || text === '' ? null : text;
  }

  number(key: string): number | null {
    const text = this.text(key);
    return text === null || text.trim() === '' || !Number.isFinite(Number(text)) ? null : Number(text);
  }

  flag(key: string): boolean {
    return /^(?:true|yes|on|y|1)$/i.test(this.text(key) ?? '');
  }

  list(key: string): readonly FileValue[] {
    this.#read.add(key);
    const value = this.#mapping[key];
    return Array.isArray(value) ? (value as readonly FileValue[]) : [];
  }

  /** The texts of a list, or the one text in its place. */
  texts(key: string): readonly string[] {
    const only = this.text(key);
    const list = this.list(key).flatMap((one) => scalarText(one) ?? []);
    return only === null ? list : [only];
  }

  section(key: string): ForeignSection {
    this.#read.add(key);
    return new ForeignSection(this.#mapping[key]);
  }

  has(key: string): boolean {
    return this.#mapping[key] !== undefined;
  }

  get keys(): readonly string[] {
    return Object.keys(this.#mapping);
  }

  /** Every text below this section, by its key. */
  entries(): readonly (readonly [key: string, value: string])[] {
    return this.keys.flatMap((key) => {
      const text = this.text(key);
      return text === null ? [] : [[key, text] as const];
    });
  }

  /** The keys that nobody read, each with a value. */
  get unread(): readonly string[] {
    return this.keys.filter((key) => !this.#read.has(key) && this.#mapping[key] !== undefined);
  }
}

/** A text of a file without `${...}` as our file must have it. */
export function literal(text: string): string {
  return text.replaceAll('${', '$${');
}
