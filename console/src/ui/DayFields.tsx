import { type Days, dayBegins } from "@/format/days";
import { TextField } from "./Field";

/** From which day to which one, both included. */
export function DayFields({ days, change }: { days: Days; change: (days: Days) => void }) {
  const { from, to } = days;
  const backwards = from && to && from > to;
  return (
    <>
      <TextField
        label="From"
        type="date"
        error={backwards ? "The first day is after the last one." : undefined}
        value={dayBegins(from) ? from : ""}
        onChange={(event) => change({ from: event.target.value })}
      />
      <TextField
        label="To"
        type="date"
        value={dayBegins(to) ? to : ""}
        onChange={(event) => change({ to: event.target.value })}
      />
    </>
  );
}
