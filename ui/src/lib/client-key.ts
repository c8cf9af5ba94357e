import { signal } from '@preact/signals';

/** The client key that was typed into the page: in memory only, gone with the tab. */
export const clientKey = signal('');
