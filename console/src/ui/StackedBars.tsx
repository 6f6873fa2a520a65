import { type KeyboardEvent, useState } from "react";
import { cx } from "./cx";

const TONES = { accent: "bg-accent", grey: "bg-line-strong", bad: "bg-bad" };

export interface Series {
  name: string;
  tone: keyof typeof TONES;
}

interface Bar {
  label: string;
  /** One for each series, from the bottom up. */
  values: number[];
}

/**
 * Bars one beside the other, each made of the series. Says in words what the bar under the pointer, or the one that the
 * arrow keys reached, is made of; without one, what all of them come to.
 */
export function StackedBars({
  label,
  all,
  series,
  bars,
  format,
}: {
  label: string;
  /** What all bars together are called: `Nov 1 to Nov 28`. */
  all: string;
  series: Series[];
  bars: Bar[];
  format: (value: number) => string;
}) {
  const [at, setAt] = useState<number>();
  const sums = bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
  const top = Math.max(...sums, 0);
  const shown = at === undefined ? undefined : bars[at];
  const totals = series.map((_, index) => bars.reduce((sum, { values }) => sum + (values[index] ?? 0), 0));
  const step = (event: KeyboardEvent) => {
    const to = { ArrowLeft: (at ?? bars.length) - 1, ArrowRight: (at ?? -1) + 1, Home: 0, End: bars.length - 1 }[
      event.key
    ];
    if (event.key === "Escape") setAt(undefined);
    if (to === undefined) return;
    event.preventDefault();
    setAt(Math.max(0, Math.min(bars.length - 1, to)));
  };
  return (
    <figure aria-label={label} className="flex flex-col gap-3">
      <figcaption className="flex flex-wrap items-center gap-x-5 gap-y-1" aria-live="polite">
        <span className="min-w-44 font-medium">{shown?.label ?? all}</span>
        {series.map(({ name, tone }, index) => (
          <span key={name} className="flex items-center gap-1.5 text-soft">
            <span aria-hidden="true" className={cx("size-2.5 rounded-sm", TONES[tone])} />
            {name}
            <span className="text-text tabular-nums">{format((shown?.values ?? totals)[index] ?? 0)}</span>
          </span>
        ))}
      </figcaption>
      <div className="flex gap-2">
        <div aria-hidden="true" className="flex flex-col justify-between text-right text-xs text-soft tabular-nums">
          <span>{format(top)}</span>
          <span>{format(0)}</span>
        </div>
        {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields */}
        <div
          role="group"
          aria-label={`${label}: arrow keys go from bar to bar`}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys read the bars
          tabIndex={0}
          onKeyDown={step}
          onBlur={() => setAt(undefined)}
          onPointerLeave={() => setAt(undefined)}
          className="flex h-40 min-w-0 flex-1 items-stretch border-b border-line"
        >
          {bars.map((bar, index) => (
            <div
              key={bar.label}
              onPointerEnter={() => setAt(index)}
              className={cx("flex min-w-0 flex-1 flex-col-reverse px-px sm:px-0.5", at === index && "bg-hover")}
            >
              {series.map(({ name, tone }, part) => {
                const value = bar.values[part] ?? 0;
                if (value <= 0 || top <= 0) return null;
                return (
                  <div
                    key={name}
                    className={cx("min-h-0.5", TONES[tone])}
                    style={{ height: `${(value / top) * 100}%` }}
                  />
                );
              })}
            </div>
          ))}
        </div>
      </div>
      <div aria-hidden="true" className="flex justify-between text-xs text-soft">
        <span>{bars[0]?.label}</span>
        {bars.length > 1 && <span>{bars.at(-1)?.label}</span>}
      </div>
    </figure>
  );
}
