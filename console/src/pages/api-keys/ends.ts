import type { Schemas } from "@/api/client";
import type { Option } from "@/ui/Select";

const DAY_S = 24 * 60 * 60;

/** When a key may end, in seconds from now. */
export const ENDS: Option<string>[] = [
  { value: String(DAY_S), label: "In a day" },
  { value: String(30 * DAY_S), label: "In 30 days" },
  { value: String(90 * DAY_S), label: "In 90 days" },
  { value: String(365 * DAY_S), label: "In a year" },
];

type Key = Pick<Schemas["ApiKeyView"], "default_model" | "expires_at">;

/** The ends to which a key's can be moved: it ends by itself, has not ended, and does so before. */
export function laterEnds(key: Key, nowMs: number): Option<string>[] {
  const left = key.expires_at ? (Date.parse(key.expires_at) - nowMs) / 1000 : 0;
  return left > 0 ? ENDS.filter(({ value }) => Number(value) > left) : [];
}

/** An API key as it is edited. */
export interface KeyForm {
  /** Empty: the workspace's choice. */
  model: string;
  /** Seconds from now; empty: as it is. */
  ends: string;
}

/** What the form says that the key was not when the form was opened: one change each, as the server takes them. */
export function changesOf(opened: Key, { model, ends }: KeyForm): Schemas["ApiKeyPatch"][] {
  const named = model.trim();
  return [
    ...(named === (opened.default_model ?? "") ? [] : [{ default_model: named || null }]),
    ...(ends === "" ? [] : [{ expires_in_s: Number(ends) }]),
  ];
}
