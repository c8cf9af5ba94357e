import { IssuerClient } from '../issuer/issuer-client.ts';
import type { ProxySetting } from '../issuer/issuer-dispatcher.ts';
import { readTlsMaterial, type TlsMaterial, type TlsSettings } from '../issuer/issuer-tls.ts';
import type { SourceVoice } from './source-errors.ts';

/** A client for one issuer, and the certificates it was made with: they belong to the source's key. */
interface IssuerConnection {
  readonly client: IssuerClient;
  readonly tls: TlsMaterial;
}

interface ConnectionSettings {
  readonly tls?: TlsSettings;
  readonly proxy?: ProxySetting;
}

/** `field` is the setting with the URL. Foreign errors are replaced: they quote proxy URLs with their passwords. */
export function openIssuer(
  voice: SourceVoice,
  field: string,
  settings: ConnectionSettings,
  baseDir: string | undefined,
): IssuerConnection {
  let tls: TlsMaterial;
  try {
    tls = readTlsMaterial(settings.tls, baseDir);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw voice.error('tls', `names a file that cannot be read (${code})`, 'credentials');
  }
  try {
    return { client: new IssuerClient({ label: voice.label(field), tls, proxy: settings.proxy }), tls };
  } catch {
    throw voice.error('proxy', 'is no URL such as http://proxy:3128, nor "environment"', 'credentials');
  }
}
