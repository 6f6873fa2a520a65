import type { Row } from "./queries";

export const CHOICES = ["action", "outcome", "text", "from", "to"] as const;

/** What the log is cut down to; days are days in the viewer's zone. */
export type Choice = Partial<Record<(typeof CHOICES)[number], string>>;

/** What people call ids. */
export type Names = Map<string, string>;

export const isCut = (choice: Choice) => CHOICES.some((name) => choice[name]);

/** The first moment of a day in the viewer's zone, `days` later; nothing for a text that is no day. */
export function dayBegins(text: string | undefined, days = 0): Date | undefined {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text ?? "") ?? [];
  if (year === undefined) return undefined;
  const at = new Date(Number(year), Number(month) - 1, Number(day) + days);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

/** Whether an entry is as it was chosen. */
export function isChosen(row: Row, choice: Choice, names: Names): boolean {
  const since = dayBegins(choice.from);
  const until = dayBegins(choice.to, 1);
  const at = Date.parse(row.at);
  return (
    (!choice.action || row.action === choice.action) &&
    (!choice.outcome || row.outcome === choice.outcome) &&
    (!since || at >= since.getTime()) &&
    (!until || at < until.getTime()) &&
    (!choice.text || textOf(row, names).includes(choice.text.toLowerCase()))
  );
}

function textOf(row: Row, names: Names): string {
  const ids = [row.actor, names.get(row.actor ?? ""), row.subject, names.get(row.subject ?? "")];
  return [...ids, row.label, row.provider, row.request_id, row.kek_id, row.content_sha256].join(" ").toLowerCase();
}
