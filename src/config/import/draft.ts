import { Document, isCollection, isMap, isNode, isPair, isScalar, type Node } from 'yaml';
import type { PathStep } from '../config-error.ts';

interface Note {
  /** The key or list item that it stands before; the nearest one that exists. */
  readonly path: readonly PathStep[];
  readonly text: string;
}

/** A configuration that is being written, with comments on what a person has to look at. */
export class Draft {
  readonly #values: Record<string, unknown> = {};
  readonly #notes: Note[] = [];

  set(key: string, value: unknown): void {
    if (value !== null && value !== undefined) this.#values[key] = value;
  }

  note(path: readonly PathStep[], text: string): void {
    this.#notes.push({ path, text });
  }

  get notes(): readonly string[] {
    return this.#notes.map(({ text }) => text);
  }

  /** The file, its notes as comments before what they are about; `head` is the first comment. */
  toYaml(head: string): string {
    const document = new Document(this.#values);
    const general = [head];
    for (const { path, text } of this.#notes) {
      const node = nearest(document, path);
      if (node === null) general.push(text);
      else node.commentBefore = joined(node.commentBefore, comment(text));
    }
    document.commentBefore = general.map(comment).join('\n');
    return document.toString({ lineWidth: 0 });
  }
}

function comment(text: string): string {
  return text
    .split('\n')
    .map((line) => ` ${line}`)
    .join('\n');
}

function joined(before: string | null | undefined, text: string): string {
  return before === null || before === undefined || before === '' ? text : `${before}\n${text}`;
}

/** The key or item at `path`, or the deepest one above it; null: the document itself. */
function nearest(document: Document, path: readonly PathStep[]): Node | null {
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
    const found = childOf(parent, path[length - 1] ?? '');
    if (found !== null) return found;
  }
  return null;
}

function childOf(parent: unknown, step: PathStep): Node | null {
  if (isMap(parent)) {
    const pair = parent.items.find(({ key }) => isScalar(key) && key.value === step);
    return pair !== undefined && isPair(pair) && isNode(pair.key) ? pair.key : null;
  }
  if (!isCollection(parent) || typeof step !== 'number') return null;
  const item: unknown = parent.items[step];
  return isNode(item) ? item : null;
}
