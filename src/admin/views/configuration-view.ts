import { formatYaml } from '../../config/load/yaml-file.ts';
import { isJsonObject } from '../../lib/json/json-object.ts';
import type { AdminParts } from '../admin-parts.ts';
import type { AdminConfiguration } from '../api-types.ts';

const REDACTED = '[redacted]';
/** Names of headers, parameters and variables of the user's choice whose value is a credential. */
const CREDENTIAL_NAME = /auth|cookie|secret|password|api-?key|credential|^x?-?token$/i;

/**
 * The configuration in use with every default. Secret fields are `[redacted]` by their type; what is secret within other
 * values (a password in a URL, a header) is known to `scrub`, and short ones by their names.
 */
export function configurationView(parts: AdminParts): AdminConfiguration {
  const text = JSON.stringify(parts.state().config, (_key, value: unknown) => {
    if (value instanceof RegExp) return value.source;
    return typeof value === 'string' ? withoutPassword(parts.scrub(value)) : value;
  });
  const configuration = withoutCredentials(JSON.parse(text)) as Record<string, unknown>;
  return { path: parts.configPath, configuration, yaml: formatYaml(configuration) };
}

/** Of a URL, whatever its length. */
function withoutPassword(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/[^/?#@]*:)[^/?#@]*@/i, `$1${REDACTED}@`);
}

/** Mappings of free names: `headers`, `query`, `params`, `vars`, `env`, forms. */
const FREE_NAMES = /^(?:headers|query|params|vars|env|body_form)$/;

function withoutCredentials(value: unknown, isFree = false): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutCredentials(item));
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, child]) => [
      name,
      isFree && typeof child === 'string' && CREDENTIAL_NAME.test(name)
        ? REDACTED
        : withoutCredentials(child, FREE_NAMES.test(name)),
    ]),
  );
}
