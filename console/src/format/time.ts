/** A moment in the viewer's zone and language, with the zone, for tooltips and details. */
export function fullTime(iso: string, zone?: string, locale?: string): string {
  return new Intl.DateTimeFormat(locale, {
    dateStyle: "medium",
    timeStyle: "long",
    ...(zone ? { timeZone: zone } : {}),
  }).format(new Date(iso));
}

/** A day in the viewer's zone: `Nov 28, 2026`. */
export function day(iso: string, zone?: string, locale?: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: "medium", ...(zone ? { timeZone: zone } : {}) }).format(
    new Date(iso),
  );
}

/** A moment to the second in the viewer's zone: `Nov 29, 12:40:36`, with the year where it is another one. */
export function exactTime(iso: string, nowMs: number, zone?: string, locale?: string): string {
  const at = new Date(iso);
  return new Intl.DateTimeFormat(locale, {
    ...(at.getFullYear() === new Date(nowMs).getFullYear() ? {} : { year: "numeric" }),
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    ...(zone ? { timeZone: zone } : {}),
  }).format(at);
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["week", 7 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/**
 * `3 minutes ago`, `in 2 days`; `just now` within half a minute. What has gone by counts in full units, what lies ahead in
 * the nearest ones: an end that was set 14 days away is two weeks away also some seconds later.
 */
export function relativeTime(iso: string, nowMs: number, locale?: string): string {
  const seconds = (Date.parse(iso) - nowMs) / 1000;
  if (Math.abs(seconds) < 30) return "just now";
  const words = new Intl.RelativeTimeFormat(locale ?? "en", { numeric: "auto" });
  const size = Math.abs(seconds);
  const ahead = seconds > 0;
  const [unit, length] = STEPS.find(([, length]) => size >= (ahead ? length * 0.98 : length)) ?? ["second", 1];
  return words.format(ahead ? Math.round(seconds / length) : Math.trunc(seconds / length), unit);
}
