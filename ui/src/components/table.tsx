import type { ComponentChildren } from 'preact';

export interface Column {
  readonly label: string;
  /** Aligned to the right. */
  readonly isNumber?: boolean;
}

/** A table that scrolls sideways in its own place, by the keyboard too. `children`: its sections of rows. */
export function Table({
  caption,
  columns,
  class: name = '',
  children,
}: {
  readonly caption: string;
  readonly columns: readonly Column[];
  readonly class?: string;
  readonly children: ComponentChildren;
}) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls sideways, so that the keyboard must reach it.
    <div class={`table ${name}`} tabIndex={0} role="region" aria-label={caption}>
      <table>
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ label, isNumber }) => (
              <th key={label} scope="col" class={isNumber === true ? 'number' : undefined}>
                {label}
              </th>
            ))}
          </tr>
        </thead>
        {children}
      </table>
    </div>
  );
}
