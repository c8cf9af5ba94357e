import type { TokenSourceConfig } from '../config/config.ts';

/** What obtaining a token from `source` here costs a gateway that runs with it, in words; null when nothing. */
export function endsTheOther(name: string, source: TokenSourceConfig | undefined): string | null {
  if (source?.rotation !== 'exclusive' || source.share !== 'none') return null;
  return `${name}: rotation is exclusive and nothing is shared, so this token ends the one that a running tokenferry uses`;
}
