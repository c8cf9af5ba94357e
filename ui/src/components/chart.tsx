import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { language } from '../i18n/language.ts';
import { isSystemDark, theme } from '../lib/theme.ts';

export interface ChartSeries {
  readonly label: string;
  /** One value for each time; null: a gap. */
  readonly values: readonly (number | null)[];
  /** Drawn in the colour of failures. */
  readonly isBad?: boolean;
}

interface ChartProps {
  /** What the chart shows, for those who cannot see it. */
  readonly label: string;
  /** Milliseconds, ascending. */
  readonly times: readonly number[];
  readonly series: readonly ChartSeries[];
  readonly format: (value: number) => string;
  readonly height?: number;
}

/** For the area below a line: `rgb(1, 2, 3)` at an eighth of its strength. */
function faded(color: string): string {
  return color.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.13)');
}

const COUNT_STEPS = Array.from({ length: 13 }, (_, power) =>
  [1, 2, 5].map((step) => step * 10 ** power),
).flat();

const COLORS = ['--chart-1', '--chart-2', '--chart-3', '--chart-4', '--chart-5', '--chart-6'];

/** Lines over time. The numbers are also in a table of the view or in its text. */
export function Chart({ label, times, series, format, height = 200 }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const names = series.map((one) => one.label).join('\n');
  const shown = `${theme.value} ${isSystemDark.value} ${language.value}`;
  const plot = useRef<uPlot | null>(null);
  const data = [times.map((at) => at / 1000), ...series.map((one) => one.values)] as uPlot.AlignedData;

  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    // The canvas needs the colour itself, not its two values for light and dark.
    const color = (name: string): string => {
      element.style.color = `var(${name})`;
      const resolved = getComputedStyle(element).color;
      element.style.color = '';
      return resolved;
    };
    const axis = {
      stroke: color('--quiet'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
    };
    const time = new Intl.DateTimeFormat(language.value, {
      hour: '2-digit',
      minute: '2-digit',
      hour12: false,
    });
    const day = new Intl.DateTimeFormat(language.value, { month: 'short', day: 'numeric' });
    const made = new uPlot(
      {
        width: Math.max(200, element.clientWidth),
        height,
        legend: { show: series.length > 1, live: false },
        cursor: { drag: { x: false, y: false } },
        scales: { x: { time: true }, y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
        axes: [
          {
            ...axis,
            size: 30,
            values: (_plot, splits) => {
              const isLong = (splits.at(-1) ?? 0) - (splits[0] ?? 0) > 36 * 3600;
              return splits.map((at) => (isLong ? day : time).format(at * 1000));
            },
          },
          // Counts: no steps below one, which would be the same number twice.
          { ...axis, size: 64, incrs: COUNT_STEPS, values: (_plot, splits) => splits.map(format) },
        ],
        series: [
          {},
          ...series.map((one, at) => ({
            label: one.label,
            stroke: color(one.isBad === true ? '--fail' : (COLORS[at % COLORS.length] ?? '--chart-1')),
            width: 2,
            ...(at === 0 && series.length < 3 ? { fill: faded(color('--chart-1')) } : {}),
            points: { show: times.length < 3 },
          })),
        ],
      },
      data,
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() =>
      made.setSize({ width: Math.max(200, element.clientWidth), height }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [names, shown, height]);

  useEffect(() => plot.current?.setData(data));

  return <div ref={place} class="chart" role="img" aria-label={label} />;
}
