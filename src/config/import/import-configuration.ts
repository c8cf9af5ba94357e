import { ConfigError } from '../config-error.ts';
import { parseYaml } from '../load/yaml-file.ts';
import { type FileMapping, isMapping } from '../types/scalar.ts';
import type { Draft } from './draft.ts';
import { importLitellmFile, isLitellmFile, LITELLM_HEAD } from './litellm-import.ts';
import { importRouteFile, ROUTE_HEAD } from './openai-api-route-import.ts';

/** A file of a product that is not known; the message says what is. */
export class UnknownFile extends Error {}

/** A draft, and the text of the file. Throws `ConfigError` for invalid YAML, and `UnknownFile`. */
export function importConfiguration(
  file: string,
  text: string,
): { readonly draft: Draft; readonly yaml: string } {
  const { root, problems } = parseYaml(text, (value) => value);
  if (problems.length > 0) {
    throw new ConfigError(
      file,
      problems.map(({ line, message }) => ({ path: '', line, message })),
    );
  }
  if (isMapping(root) && isLitellmFile(root)) {
    const draft = importLitellmFile(root);
    return { draft, yaml: draft.toYaml(LITELLM_HEAD) };
  }
  if (isMapping(root) && Array.isArray(root.upstreams)) {
    if (isOurs(root)) throw new UnknownFile(`${file} is a configuration of tokenferry already.`);
    const draft = importRouteFile(root);
    return { draft, yaml: draft.toYaml(ROUTE_HEAD) };
  }
  throw new UnknownFile(
    `${file} is no configuration of openai-api-route (upstreams) or of LiteLLM (model_list).`,
  );
}

/** Sections that openai-api-route and LiteLLM do not have. */
function isOurs(root: FileMapping): boolean {
  return ['tokens', 'record', 'clients', 'cool_down', 'limits', 'deadline'].some((key) => key in root);
}
