import type { AdminStatus } from '../../../src/admin/api-types.ts';
import { t } from '../i18n/language.ts';
import { clientKey } from '../lib/client-key.ts';

/** The field for the key that an application would use. Without one the page calls as the client `playground`. */
export function ClientKey({ status, hint }: { readonly status: AdminStatus; readonly hint?: string }) {
  if (!status.needs_client_key) return null;
  return (
    <label class="narrow">
      {t('clientKey')}
      <input
        type="password"
        autocomplete="off"
        value={clientKey.value}
        onInput={(event) => {
          clientKey.value = event.currentTarget.value;
        }}
      />
      <span class="quiet">
        {t('clientKeyWhere')} {hint}
      </span>
    </label>
  );
}

/** The gateway as this browser reaches it: applications elsewhere use the same with their own host name. */
export function baseUrlOf(status: AdminStatus): string {
  const configured = new URL(status.base_url);
  // The page may be served on a port of its own (`admin.address`).
  const isSamePort = configured.port === location.port;
  return isSamePort
    ? `${location.origin}${status.base_path}/v1`
    : `${location.protocol}//${location.hostname}:${configured.port}${status.base_path}/v1`;
}
