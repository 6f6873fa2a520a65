import { momentsOf } from "@/format/days";
import type { Only, Row, Source } from "./queries";

export const CHOICES = ["action", "outcome", "actor", "text", "from", "to"] as const;

/** What the log is cut down to; days are days in the viewer's zone. */
export type Choice = Partial<Record<(typeof CHOICES)[number], string | undefined>>;

/** What people call ids. */
export type Names = Map<string, string>;

export const isCut = (choice: Choice) => CHOICES.some((name) => choice[name]);

/** Whether something is chosen that only what was loaded is looked through for. */
export const isCutHere = ({ outcome, text }: Choice) => Boolean(outcome || text);

/** The sorts of things of which a log tells; all actions of a sort can be chosen at once. */
export const SORTS: Record<Source["kind"], string[]> = {
  workspace: [
    "api_key",
    "invitation",
    "member",
    "playground_key",
    "policy",
    "provider_key",
    "run",
    "script",
    "service",
    "workspace",
  ],
  account: ["account", "ai_defaults", "credits", "device_login", "provider_key", "session", "subscription", "user"],
  instance: ["plan", "profile", "provider_key", "provider_switch", "sealing_key", "session", "settings"],
};

/** What of a choice the server looks for. */
export function onlyOf({ action, actor, from, to }: Choice): Only {
  return { ...(action ? { action } : {}), ...(actor ? { actor } : {}), ...momentsOf({ from, to }) };
}

/** Whether an entry is as it was chosen, in what the server does not look for. */
export function isChosen(row: Row, { outcome, text }: Choice, names: Names): boolean {
  return (!outcome || row.outcome === outcome) && (!text || textOf(row, names).includes(text.toLowerCase()));
}

function textOf(row: Row, names: Names): string {
  const ids = [row.actor, names.get(row.actor ?? ""), row.subject, names.get(row.subject ?? "")];
  return [...ids, row.label, row.provider, row.request_id, row.kek_id, row.content_sha256].join(" ").toLowerCase();
}
