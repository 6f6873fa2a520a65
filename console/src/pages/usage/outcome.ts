import type { Call } from "./queries";

type Outcome = Pick<Call, "status" | "pricing" | "charge_nano_usd"> & { attempts: { outcome: string }[] };

/** Whether a provider served the call, so that it may have cost something: also where the client had no whole answer. */
export function wasServed({ status, pricing, charge_nano_usd, attempts }: Outcome): boolean {
  return status < 400 || Boolean(pricing) || charge_nano_usd > 0 || attempts.some(({ outcome }) => outcome === "ok");
}

/** Why a call has no cost, in a word or two. */
export function noCost(call: Outcome): string {
  if (!wasServed(call)) return "nothing";
  return call.pricing ? "not known" : "not recorded";
}
