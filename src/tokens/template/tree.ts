import { Secret } from '../../lib/secret.ts';
import type { TemplateValue } from './expression.ts';
import { Template, type TemplateScope } from './template.ts';

/** JSON whose texts may be templates and whose leaves may be secrets. Keys are taken as they are. */
export type TemplateJson =
  | string
  | number
  | boolean
  | null
  | Secret
  | readonly TemplateJson[]
  | { readonly [key: string]: TemplateJson };

export type RenderedJson = TemplateValue | boolean | null | RenderedJson[] | { [key: string]: RenderedJson };

/** JSON with its templates compiled; `names` are all names used anywhere in it. */
export class TemplateTree {
  readonly names: ReadonlySet<string>;
  readonly #render: (scope: TemplateScope) => RenderedJson;

  private constructor(names: ReadonlySet<string>, render: (scope: TemplateScope) => RenderedJson) {
    this.names = names;
    this.#render = render;
  }

  static compile(json: TemplateJson): TemplateTree {
    if (json === null || typeof json === 'boolean') return new TemplateTree(new Set(), () => json);
    if (typeof json === 'string' || typeof json === 'number' || json instanceof Secret) {
      const template = Template.compile(json);
      return new TemplateTree(template.names, (scope) => template.render(scope));
    }
    if (Array.isArray(json)) {
      const items = (json as readonly TemplateJson[]).map((item) => TemplateTree.compile(item));
      return new TemplateTree(joined(items), (scope) => items.map((item) => item.render(scope)));
    }
    const entries = Object.entries(json).map(([key, value]) => [key, TemplateTree.compile(value)] as const);
    return new TemplateTree(joined(entries.map(([, tree]) => tree)), (scope) =>
      // fromEntries defines own properties, so that a field named __proto__ stays a field.
      Object.fromEntries(entries.map(([key, tree]) => [key, tree.render(scope)])),
    );
  }

  render(scope: TemplateScope): RenderedJson {
    return this.#render(scope);
  }
}

function joined(trees: readonly TemplateTree[]): Set<string> {
  return new Set(trees.flatMap((tree) => [...tree.names]));
}
