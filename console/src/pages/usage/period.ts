/** Days are UTC days, `2026-11-28`, as the server adds calls up. */

const DAY_MS = 86_400_000;
/** The longest period that the page asks for. */
const MOST_DAYS = 366;

export interface Period {
  from: string;
  /** The last day, it included. */
  to: string;
}

const iso = (ms: number) => new Date(ms).toISOString().slice(0, 10);

function isDay(text: string | undefined): text is string {
  return text !== undefined && /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text));
}

/** The last `days` days, today included. */
export function lastDays(days: number, nowMs: number): Period {
  return { from: iso(nowMs - (days - 1) * DAY_MS), to: iso(nowMs) };
}

/** A period of chosen days, or what is wrong with it. */
export function chosenDays(from: string | undefined, to: string | undefined): Period | string {
  if (!isDay(from) || !isDay(to)) return "Choose the first and the last day.";
  if (from > to) return "The first day is after the last one.";
  if (days({ from, to }).length > MOST_DAYS) return `Choose at most ${MOST_DAYS} days.`;
  return { from, to };
}

/** Each day of a period. */
export function days({ from, to }: Period): string[] {
  const all: string[] = [];
  for (let at = Date.parse(from); at <= Date.parse(to) && all.length <= MOST_DAYS; at += DAY_MS) all.push(iso(at));
  return all;
}

/** The moments between which a period lies: from the first on, before the second. */
export function moments({ from, to }: Period): { from: string; to: string } {
  return { from: `${from}T00:00:00Z`, to: `${iso(Date.parse(to) + DAY_MS)}T00:00:00Z` };
}

/** `Nov 28`, with the year where it is not `year`'s. */
function dayText(text: string, year: string): string {
  const options = { month: "short", day: "numeric", timeZone: "UTC" } as const;
  return new Intl.DateTimeFormat("en-US", text.startsWith(year) ? options : { ...options, year: "numeric" }).format(
    new Date(text),
  );
}

/** The days in a row, by sevens where there are many: a bar for each, with its name, the shorter one of its first day, and the days that it stands for. */
export function buckets(period: Period): { label: string; tick: string; days: string[] }[] {
  const all = days(period);
  const size = all.length > 100 ? 7 : 1;
  const year = period.to.slice(0, 4);
  return Array.from({ length: Math.ceil(all.length / size) }, (_, index) => {
    const part = all.slice(index * size, (index + 1) * size);
    const [first = "", last = ""] = [part[0], part.at(-1)];
    const label = first === last ? dayText(first, year) : `${dayText(first, year)} to ${dayText(last, year)}`;
    return { label, tick: dayText(first, year), days: part };
  });
}
