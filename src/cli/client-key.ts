import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { CLIENT_KEY_VARIABLE } from '../setup/configuration-text.ts';
import { ownVariable, readEnvironment } from './environment-file.ts';

/** The key that applications send to a gateway which `init` configures. */
export interface ClientKey {
  readonly value: string;
  /** Where it comes from; a key that exists is kept, as applications may have it already. */
  readonly origin: 'new' | 'file' | 'environment';
}

/** The key of the environment or of a `.env` that exists, else a random one. Throws `ConfigError`. */
export function clientKeyFor(environmentFile: string): ClientKey {
  const own = ownVariable(CLIENT_KEY_VARIABLE);
  if (own !== undefined && own !== '') return { value: own, origin: 'environment' };
  const written = readEnvironment(environmentFile)[CLIENT_KEY_VARIABLE];
  if (written !== undefined && written !== '') return { value: written, origin: 'file' };
  return { value: `sk-${randomBytes(24).toString('hex')}`, origin: 'new' };
}

const DEFAULT_PORT = 8888;

/** What a person types into an application. A key that was not made now is not printed. */
export function describeAccess({ value, origin }: ClientKey, model: string | null): string {
  const key =
    origin === 'new'
      ? `${value}   (${CLIENT_KEY_VARIABLE} in .env)`
      : `the ${CLIENT_KEY_VARIABLE} that ${origin === 'file' ? 'the .env' : 'the environment'} has already`;
  return `Type into RAGFlow, Dify or another OpenAI client (README.md names the fields of each):
         base URL  http://${hostname()}:${DEFAULT_PORT}/v1   (on this machine http://127.0.0.1:${DEFAULT_PORT}/v1)
         API key   ${key}
         model     ${model ?? 'one of GET /v1/models'}`;
}
