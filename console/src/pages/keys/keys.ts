import type { Schemas } from "@/api/client";
import type { KeyScope } from "./scope";

export type Key = Schemas["ProviderKeyView"];
export type Availability = Schemas["AvailabilityView"];
export type Provider = Schemas["ProviderView"];
/** What a list of keys is to whoever may see it. */
export type Entries = (Key | Availability)[];

/** Whether an entry is a key, as owners and admins see it; members see that there is one. */
export function isKey(entry: Key | Availability): entry is Key {
  return "id" in entry;
}

/** The keys of one provider in the order in which they serve. */
export function inOrder(keys: Key[]): Key[] {
  return [...keys].sort(
    (one, other) => one.position - other.position || one.created_at.localeCompare(other.created_at),
  );
}

/** What calls of the provider's models meet, in words. */
export function outcome(then: Schemas["RemovedKeyView"]["then"], provider: string): string {
  switch (then) {
    case "other_own_key":
      return `Another own key serves calls of ${provider}'s models.`;
    case "managed_credits":
      return `Credits pay for calls of ${provider}'s models.`;
    case "refused_402":
      return `Calls of ${provider}'s models are refused with 402, because nothing pays for them.`;
    case "refused":
      return `Calls of ${provider}'s models are refused, by a guardrail of this workspace or a switch of the instance.`;
  }
}

const FAILURES: Record<Schemas["FailureView"]["kind"], string> = {
  invalid_key: "the provider does not know the key",
  no_permission: "the key lacks a permission",
  no_quota: "its quota or balance is used up",
  rate_limited: "too many requests",
  provider_error: "the provider failed",
  unreachable: "no answer from the provider",
};

/** Why a key failed, in words. */
export function failureText(kind: Schemas["FailureView"]["kind"]): string {
  return FAILURES[kind];
}

/** Why a text is no base URL; the server has its own, sharper eyes. `http` is for what the operator allows. */
export function baseUrlFault(text: string): string | undefined {
  if (!URL.canParse(text)) return "This is no URL. It begins with https:// and names a host.";
  const url = new URL(text);
  if (url.protocol !== "https:" && url.protocol !== "http:") return "A base URL begins with https://.";
  if (url.username !== "" || url.password !== "") return "A base URL has no user and no password in it.";
  if (url.search !== "" || url.hash !== "") return "A base URL has no query and no fragment.";
  return undefined;
}

/** What a label may be, in words; the server holds to the same. */
export const LABEL_RULE = "Letters, digits, dots, hyphens and underscores, at most 64; the first a letter or a digit";

/** Why a text is no label. */
export function labelFault(text: string): string | undefined {
  if (text === "") return "Give it a name.";
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text) ? undefined : `${LABEL_RULE}.`;
}

/** A label that no key for the provider has yet: `primary`, `primary-2` and so on. */
export function freeLabel(keys: Pick<Key, "provider" | "label">[], provider: string | null): string {
  const taken = new Set(keys.filter((key) => key.provider === provider).map(({ label }) => label));
  let label = "primary";
  for (let number = 2; taken.has(label); number += 1) label = `primary-${number}`;
  return label;
}

/** What the form says that the key was not when the form was opened: what others changed meanwhile stays theirs. */
export function changesOf(
  opened: Pick<Key, "label" | "level" | "fallback">,
  form: Pick<Key, "label" | "level" | "fallback">,
): Schemas["KeyPatch"] {
  return {
    ...(form.label === opened.label ? {} : { label: form.label }),
    ...(form.level === opened.level ? {} : { level: form.level }),
    ...(form.fallback === opened.fallback ? {} : { fallback: form.fallback }),
  };
}

/** Whether keys for a provider are taken there: own ones where they are switched on, platform ones everywhere. */
export function takesKeys(scope: KeyScope, provider: Provider): boolean {
  return scope.kind === "instance" ? provider.payment_modes.includes("managed") : provider.byok;
}
