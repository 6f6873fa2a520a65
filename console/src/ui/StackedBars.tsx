import { type KeyboardEvent, useState } from "react";
import { cx } from "./cx";
import { axis, places } from "./scale";

const TONES = { accent: "bg-accent", grey: "bg-line-strong", bad: "bg-bad" };

export interface Series {
  name: string;
  tone: keyof typeof TONES;
}

interface Bar {
  label: string;
  /** What stands below the bar: `Nov 28`. */
  tick: string;
  /** One for each series, from the bottom up. */
  values: number[];
}

/**
 * Bars one beside the other, each made of the series, between the lines of a scale. What the bar under the pointer, or the one
 * that the arrow keys reached, is made of stands beside it; above all of them what they come to.
 */
export function StackedBars({
  label,
  all,
  series,
  bars,
  format,
  tick = format,
  whole = true,
  empty,
}: {
  label: string;
  /** What all bars together are called: `Nov 1 to Nov 28`. */
  all: string;
  series: Series[];
  bars: Bar[];
  format: (value: number) => string;
  /** A value at a line of the scale. */
  tick?: (value: number) => string;
  /** Whether the values come in ones. */
  whole?: boolean;
  /** What to say where all bars are zero. */
  empty: string;
}) {
  const [at, setAt] = useState<number>();
  const sums = bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0));
  const lines = axis(Math.max(...sums, 0), whole);
  const top = lines.at(-1) ?? 0;
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
    <figure aria-label={label} className="flex flex-col gap-4">
      <figcaption className="flex flex-wrap items-center gap-x-5 gap-y-1">
        <span className="font-medium sm:mr-auto">{all}</span>
        {series.map(({ name, tone }, index) => (
          <Part key={name} name={name} tone={tone} value={format(totals[index] ?? 0)} />
        ))}
      </figcaption>
      <div className="grid grid-cols-[auto_minmax(0,1fr)] gap-x-2 gap-y-1.5 text-xs text-soft tabular-nums">
        {/* As high as the bars, and as wide as its widest value. */}
        <div aria-hidden="true" className="flex h-44 flex-col-reverse justify-between text-right">
          {(top > 0 ? lines : []).map((value) => (
            <span key={value} className="flex h-0 items-center justify-end">
              {tick(value)}
            </span>
          ))}
        </div>
        <div className="relative">
          <div aria-hidden="true" className="absolute inset-0 flex flex-col-reverse justify-between">
            {lines.map((value, index) => (
              <span key={value} className={cx("h-px", index === 0 ? "bg-line-strong" : "bg-line")} />
            ))}
          </div>
          {/* biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields */}
          <div
            role="group"
            aria-label={`${label}: arrow keys go from bar to bar`}
            // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys read the bars
            tabIndex={0}
            onKeyDown={step}
            onBlur={() => setAt(undefined)}
            // What a finger touched stays until it touches something else.
            onPointerLeave={({ pointerType }) => pointerType !== "touch" && setAt(undefined)}
            className="relative flex h-44 min-w-0 items-stretch"
          >
            {bars.map((bar, index) => (
              <div
                key={bar.label}
                onPointerEnter={() => setAt(index)}
                className={cx(
                  "flex min-w-0 flex-1 flex-col-reverse items-center",
                  at !== undefined && at !== index && "opacity-50",
                )}
              >
                <div
                  className="flex w-4/5 max-w-12 flex-col-reverse overflow-hidden rounded-t-sm"
                  style={{
                    height: `${top > 0 ? ((sums[index] ?? 0) / top) * 100 : 0}%`,
                    // Each part of the smallest bar can be seen.
                    minHeight: 2 * bar.values.filter((value) => value > 0).length,
                  }}
                >
                  {series.map(({ name, tone }, part) => {
                    const value = bar.values[part] ?? 0;
                    return (
                      value > 0 && <div key={name} className={cx("min-h-0.5", TONES[tone])} style={{ flex: value }} />
                    );
                  })}
                </div>
              </div>
            ))}
          </div>
          {top === 0 && (
            <p className="pointer-events-none absolute inset-0 flex items-center justify-center text-sm">{empty}</p>
          )}
          {shown && at !== undefined && (
            <Hint bar={shown} of={series} place={(at + 0.5) / bars.length} format={format} />
          )}
          <p aria-live="polite" className="sr-only">
            {shown &&
              [shown.label, ...series.map(({ name }, part) => `${name} ${format(shown.values[part] ?? 0)}`)].join(", ")}
          </p>
        </div>
        <Ticks bars={bars} />
      </div>
    </figure>
  );
}

function Part({ name, tone, value }: { name: string; tone: Series["tone"]; value: string }) {
  return (
    <span className="flex items-center gap-1.5 text-soft">
      <span aria-hidden="true" className={cx("size-2.5 rounded-sm", TONES[tone])} />
      {name}
      <span className="text-text tabular-nums">{value}</span>
    </span>
  );
}

/** What a bar is made of, above the bars, so that none is hidden, and no wider than the chart. */
function Hint({
  bar,
  of,
  place,
  format,
}: {
  bar: Bar;
  of: Series[];
  /** The middle of the bar, from 0 to 1. */
  place: number;
  format: (value: number) => string;
}) {
  return (
    <div
      aria-hidden="true"
      style={{ left: `${place * 100}%`, transform: `translateX(-${place * 100}%)` }}
      className="pointer-events-none absolute bottom-full z-10 mb-1 flex min-w-40 flex-col gap-1 rounded-md border border-line bg-surface px-3 py-2 shadow-float"
    >
      <span className="font-medium whitespace-nowrap text-text">{bar.label}</span>
      {of.map(({ name, tone }, part) => (
        <span key={name} className="flex items-center gap-1.5 whitespace-nowrap">
          <span className={cx("size-2 rounded-sm", TONES[tone])} />
          {name}
          <span className="ml-auto pl-3 text-text">{format(bar.values[part] ?? 0)}</span>
        </span>
      ))}
    </div>
  );
}

/** The names of some bars below them; of fewer where there is little room. */
function Ticks({ bars }: { bars: Bar[] }) {
  const named = places(bars.length, 5);
  return (
    <div aria-hidden="true" className="@container relative col-start-2 h-4">
      {named.map((index, order) => {
        const place = (index + 0.5) / bars.length;
        // In the middle below the bar, as long as it does not leave the chart: `100cqw` is the chart's width.
        const [before, after] = [place * 100, (1 - place) * 100];
        const shift = `max(-${before}cqw, min(-50%, ${after}cqw - 100%))`;
        return (
          <span
            key={index}
            style={{ left: `${place * 100}%`, transform: `translateX(${shift})` }}
            className={cx("absolute whitespace-nowrap", order % 2 === 1 && "max-sm:hidden")}
          >
            {bars[index]?.tick}
          </span>
        );
      })}
    </div>
  );
}
