import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { AdminStatus } from '../../../src/admin/api-types.ts';
import type { Resource } from './resource.ts';

/** The state of the gateway, loaded once for all views. */
export const StatusContext = createContext<Resource<AdminStatus>>({
  data: null,
  error: null,
  isLoading: true,
  reload: () => undefined,
});

export function useStatus(): Resource<AdminStatus> {
  return useContext(StatusContext);
}
