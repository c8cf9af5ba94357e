import { computed, signal } from '@preact/signals';
import { en } from './en.ts';
import { zh } from './zh.ts';

export type TextKey = keyof typeof en;
export type Language = 'en' | 'zh-CN';

const STORED = 'tokenferry.language';

function firstLanguage(): Language {
  const wanted = read() ?? navigator.language;
  return wanted.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
}

function read(): string | null {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null;
  }
}

/** The language of the page: the one that was chosen here before, else the browser's. */
export const language = signal<Language>(firstLanguage());

const texts = computed<Record<TextKey, string>>(() => (language.value === 'en' ? en : zh));

export function chooseLanguage(next: Language): void {
  language.value = next;
  document.documentElement.lang = next;
  try {
    localStorage.setItem(STORED, next);
  } catch {
    // Without storage the choice holds for this visit.
  }
}

/** The text of a key in the language of the page; `{name}` in it is replaced. */
export function t(key: TextKey, values: Readonly<Record<string, string | number>> = {}): string {
  return texts.value[key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : whole,
  );
}
