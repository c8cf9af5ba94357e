import { formatYaml } from '../config/load/yaml-file.ts';

/** The variable with the key that applications send: the written configuration names it, and `verify` reads it. */
export const CLIENT_KEY_VARIABLE = 'TOKENFERRY_KEY';

/** A whole `config.yaml`: token source and upstream as `configuration` has them, and the key of applications. `writer`: who wrote it. */
export function configurationText(writer: string, name: string, configuration: object): string {
  return `# Written by ${writer}. Every key: docs/configuration.md; more about tokens.${name}: docs/tokens.md.
# What applications send as their API key. With a key, port 8888 of every interface is listened on.
authorization: "\${${CLIENT_KEY_VARIABLE}}"
${formatYaml(configuration)}`;
}
