const COUNT = new Intl.NumberFormat("en-US");
const COMPACT = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

/** `1,234,567`. */
export function count(value: number): string {
  return COUNT.format(value);
}

/** `1.2M`, where there is no room for all digits. */
export function compact(value: number): string {
  return COMPACT.format(value);
}

/** `1 key`, `3 keys`. */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A share from 0 to 1 as `12.5%`. Neither a little nor all but a little is rounded away: `<0.1%`, `>99.9%`. */
export function percent(share: number): string {
  if (share > 0 && share < 0.001) return "<0.1%";
  if (share < 1 && share > 0.999) return ">99.9%";
  return `${Number((share * 100).toFixed(1))}%`;
}

/** A length of bytes in binary units: `1.5 KiB`. */
export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let size = value;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : Number(size.toFixed(1))} ${units[unit]}`;
}

/** A duration: `340 ms`, `2.4 s`, `3 min 5 s`. */
export function milliseconds(value: number): string {
  if (Math.round(value) < 1000) return `${Math.round(value)} ms`;
  if (value < 59_950) return `${Number((value / 1000).toFixed(1))} s`;
  const seconds = Math.round(value / 1000);
  const rest = seconds % 60;
  return rest === 0 ? `${seconds / 60} min` : `${Math.floor(seconds / 60)} min ${rest} s`;
}
