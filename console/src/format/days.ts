/** Days as the address and the fields of a page name them: `2026-11-28`, in the viewer's zone. */
export interface Days {
  from?: string | undefined;
  to?: string | undefined;
}

/** The first moment of a day in the viewer's zone, `days` later; nothing for a text that is no day. */
export function dayBegins(text: string | undefined, days = 0): Date | undefined {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text ?? "") ?? [];
  if (year === undefined) return undefined;
  const at = new Date(Number(year), Number(month) - 1, Number(day) + days);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

/** The moments from which on and before which the server looks; the last day is included. */
export function momentsOf({ from, to }: Days): { from?: string; to?: string } {
  const since = dayBegins(from)?.toISOString();
  const until = dayBegins(to, 1)?.toISOString();
  return { ...(since ? { from: since } : {}), ...(until ? { to: until } : {}) };
}
