import type { ClientConfig } from 'pg';

/** A PostgreSQL address of `dbaddr`. */
interface PostgresAddress {
  readonly config: ClientConfig;
  /** Host, port and database for messages; without user and password. */
  readonly place: string;
}

/** `host=db user=app password='it''s' dbname=llm sslmode=require` (libpq, "Keyword/Value Connection Strings"). */
const PAIR = /\s*([A-Za-z_]\w*)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s\\]|\\.)*))\s*/gy;

/** Parses a postgres:// URL or a libpq keyword string; null when it is neither. */
export function parsePostgresAddress(text: string): PostgresAddress | null {
  if (/^postgres(?:ql)?:\/\//i.test(text)) return urlAddress(text);
  const words = keywordsOf(text);
  if (words === null || words.size === 0) return null;
  const port = Number(words.get('port') ?? 5432);
  const host = words.get('host') ?? words.get('hostaddr') ?? 'localhost';
  const database = words.get('dbname') ?? words.get('user');
  const user = words.get('user');
  const password = words.get('password');
  const options = words.get('options');
  return {
    config: {
      host,
      port,
      ...(database === undefined ? {} : { database }),
      ...(user === undefined ? {} : { user }),
      ...(password === undefined ? {} : { password }),
      ...(options === undefined ? {} : { options }),
      ssl: tlsOf(words.get('sslmode') ?? 'prefer'),
    },
    place: `${host}:${port}/${database ?? ''}`,
  };
}

function urlAddress(text: string): PostgresAddress | null {
  if (!URL.canParse(text)) return null;
  const { hostname, port, pathname } = new URL(text);
  return {
    config: { connectionString: text },
    place: `${hostname || 'localhost'}:${port || 5432}${pathname}`,
  };
}

function keywordsOf(text: string): ReadonlyMap<string, string> | null {
  const words = new Map<string, string>();
  PAIR.lastIndex = 0;
  while (PAIR.lastIndex < text.length) {
    const match = PAIR.exec(text);
    if (match === null) return null;
    words.set((match[1] ?? '').toLowerCase(), (match[2] ?? match[3] ?? '').replace(/\\(.)/g, '$1'));
  }
  return words;
}

/** libpq's modes. `allow` and `prefer` try both, which this driver cannot: they mean no TLS. */
function tlsOf(mode: string): NonNullable<ClientConfig['ssl']> {
  switch (mode) {
    case 'verify-full':
      return true;
    case 'verify-ca':
      return { checkServerIdentity: () => undefined };
    case 'require':
      return { rejectUnauthorized: false };
    default:
      return false;
  }
}
