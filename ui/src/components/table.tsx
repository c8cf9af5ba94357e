import type { ComponentChildren } from 'preact';

export interface Column {
  readonly label: string;
  /** Aligned to the right. */
  readonly isNumber?: boolean;
  /** Sorts the rows by it; absent: they cannot be. */
  readonly onSort?: () => void;
  readonly isSorted?: boolean;
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
            {columns.map(({ label, isNumber, onSort, isSorted }) => (
              <th
                key={label}
                scope="col"
                class={isNumber === true ? 'number' : undefined}
                aria-sort={isSorted === true ? 'descending' : undefined}
              >
                {onSort === undefined ? (
                  label
                ) : (
                  <button type="button" class="sort" onClick={onSort}>
                    {label}
                    {isSorted === true && ' ↓'}
                  </button>
                )}
              </th>
            ))}
          </tr>
        </thead>
        {children}
      </table>
    </div>
  );
}
