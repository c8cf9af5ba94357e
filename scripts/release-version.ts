/** The version of a release: `package.json` has it, and every other file that names it is in one list here. */

/** A file that names the version: each match of the pattern is a part before it and the version itself. */
interface VersionPlace {
  readonly path: string;
  readonly pattern: RegExp;
}

/** The first is the one that all others follow. */
export const VERSION_PLACES: readonly VersionPlace[] = [
  { path: 'package.json', pattern: /(^ {2}"version": ")([^"]+)/gm },
  { path: 'package-lock.json', pattern: /("name": "tokenferry",\n +"version": ")([^"]+)/g },
  { path: 'openapi.yaml', pattern: /(^ {2}version: )(\S+)/gm },
  { path: 'Dockerfile', pattern: /(^ARG VERSION=)(\S+)/gm },
  { path: 'deploy/compose/compose.yaml', pattern: /(TOKENFERRY_IMAGE:-tokenferry:)([^}]+)/g },
  { path: 'deploy/helm/tokenferry/Chart.yaml', pattern: /(^(?:version|appVersion): )(\S+)/gm },
  { path: 'deploy/kubernetes/kustomization.yaml', pattern: /(newTag: )(\S+)/g },
  { path: 'docs/deploy.md', pattern: /(newTag: )([^\s}]+)/g },
];

/** The versions that a file names. */
export function versionsIn(text: string, { pattern }: VersionPlace): string[] {
  return [...text.matchAll(pattern)].map((match) => match[2] ?? '');
}

export function withVersion(text: string, { pattern }: VersionPlace, version: string): string {
  return text.replace(pattern, (_match, before: string) => `${before}${version}`);
}

/** Semantic versioning 2.0.0, without build metadata: npm ignores it, and image tags cannot contain a plus. */
const VERSION =
  /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][\da-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][\da-zA-Z-]*))*)?$/;

export function isPrerelease(version: string): boolean {
  return version.includes('-');
}

/** Why `next` cannot follow `current`; null when it can. */
export function versionDefect(current: string, next: string): string | null {
  const numbers = VERSION.exec(next)?.slice(1, 4).map(Number);
  if (numbers === undefined)
    return `"${next}" is no version: it has to be like 1.2.3 or 1.2.3-rc.1, without a v`;
  if (next === current) return `${next} is the present version`;
  const before = VERSION.exec(current)?.slice(1, 4).map(Number) ?? [];
  const differing = numbers.findIndex((number, index) => number !== before[index]);
  const isLater =
    differing === -1 ? isPrerelease(current) : (numbers[differing] ?? 0) > (before[differing] ?? 0);
  return isLater ? null : `${next} is not later than the present version ${current}`;
}

/** Without `-rc.1` also the tags of its minor and major version, and `latest`. */
export function imageTags(version: string): string[] {
  if (isPrerelease(version)) return [version];
  const [major = '', minor = ''] = version.split('.');
  return [version, `${major}.${minor}`, ...(major === '0' ? [] : [major]), 'latest'];
}

const UNRELEASED = '## Unreleased';

/** The changelog with its `Unreleased` section as that of `version`, and the text of the section. Throws when there is none. */
export function closeUnreleased(
  changelog: string,
  version: string,
  day: string,
): { readonly changelog: string; readonly notes: string } {
  const lines = changelog.split('\n');
  const begin = lines.indexOf(UNRELEASED);
  if (begin === -1) throw new Error(`CHANGELOG.md has no line "${UNRELEASED}".`);
  const length = lines.slice(begin + 1).findIndex((line) => line.startsWith('## '));
  const end = length === -1 ? lines.length : begin + 1 + length;
  const notes = lines
    .slice(begin + 1, end)
    .join('\n')
    .trim();
  if (notes === '') throw new Error(`Nothing is below "${UNRELEASED}" in CHANGELOG.md: nothing to release.`);
  const heading = `## ${version} - ${day}`;
  const closed = [...lines.slice(0, begin), UNRELEASED, '', heading, '', notes, '', ...lines.slice(end)];
  return { changelog: `${closed.join('\n').trimEnd()}\n`, notes: `${notes}\n` };
}
