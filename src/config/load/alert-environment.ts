import { type FileMapping, isMapping, scalarText } from '../types/scalar.ts';

interface WithChannels {
  readonly root: FileMapping;
  /** For people: variables that cannot be used. */
  readonly warnings: readonly string[];
}

/**
 * The file with the alert channels that the environment names, as in openai-api-route: FEISHU_WEBHOOK, and MATRIX_API with
 * or without MATRIX_ROOM and MATRIX_TOKEN. A URL that `notify` has already is not added again.
 */
export function withEnvironmentChannels(
  root: FileMapping,
  env: Readonly<Record<string, string | undefined>>,
): WithChannels {
  const written: unknown[] = Array.isArray(root.notify) ? root.notify : [];
  // Anything but a list is reported as it is.
  if (root.notify !== undefined && root.notify !== null && written !== root.notify)
    return { root, warnings: [] };
  const known = new Set(written.map((one) => (isMapping(one) ? scalarText(one.url) : null)));
  const { MATRIX_ROOM: room, MATRIX_TOKEN: token } = env;
  const inRoom = room && token ? { room, token } : {};
  const warnings: string[] = [];
  const channels = [
    { variable: 'FEISHU_WEBHOOK', channel: { type: 'feishu' } },
    { variable: 'MATRIX_API', channel: { type: 'matrix', ...inRoom } },
  ].flatMap(({ variable, channel }) => {
    const url = env[variable]?.trim() ?? '';
    if (url === '' || known.has(url)) return [];
    if (/^https?:\/\/./i.test(url) && URL.canParse(url)) return [{ ...channel, url }];
    warnings.push(`${variable} in the environment is no http:// or https:// URL: no alerts are sent there`);
    return [];
  });
  if (channels.length === 0) return { root, warnings };
  return { root: { ...root, notify: [...written, ...channels] } as FileMapping, warnings };
}
