import { signal } from '@preact/signals';

export type Theme = 'system' | 'light' | 'dark';

const STORED = 'tokenferry.theme';

/** The colours of the page; `system` follows the browser. */
export const theme = signal<Theme>(read());

const systemDark = matchMedia('(prefers-color-scheme: dark)');

/** Whether the browser wants dark colours, also when that changes. */
export const isSystemDark = signal(systemDark.matches);
systemDark.addEventListener('change', ({ matches }) => {
  isSystemDark.value = matches;
});

function read(): Theme {
  try {
    const stored = localStorage.getItem(STORED);
    return stored === 'light' || stored === 'dark' ? stored : 'system';
  } catch {
    return 'system';
  }
}

export function chooseTheme(next: Theme): void {
  theme.value = next;
  applyTheme();
  try {
    localStorage.setItem(STORED, next);
  } catch {
    // Without storage the choice holds for this visit.
  }
}

/** Writes the choice where the style sheet reads it. */
export function applyTheme(): void {
  const { documentElement } = document;
  if (theme.value === 'system') delete documentElement.dataset.theme;
  else documentElement.dataset.theme = theme.value;
}
