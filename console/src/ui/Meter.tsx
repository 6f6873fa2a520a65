import { Meter as Base } from "@base-ui/react/meter";
import { cx } from "./cx";

/** How full something is that has a limit. From four fifths on the bar says so by its colour, too; words stand beside it. */
export function Meter({
  label,
  value,
  limit,
  text,
}: {
  label: string;
  value: number;
  limit: number;
  /** What a screen reader says in the place of the bare number. */
  text: string;
}) {
  const max = Math.max(limit, 1);
  const shown = limit <= 0 ? max : Math.min(Math.max(value, 0), max);
  const share = shown / max;
  return (
    <Base.Root aria-label={label} value={shown} max={max} getAriaValueText={() => text} className="w-full">
      <Base.Track className="h-1.5 overflow-hidden rounded-full bg-hover">
        <Base.Indicator
          className={cx("h-full rounded-full", share >= 1 ? "bg-bad-solid" : share >= 0.8 ? "bg-warn" : "bg-accent")}
        />
      </Base.Track>
    </Base.Root>
  );
}
