import { type QueryClient, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { ApiError } from "@/api/error";
import { LIVE_MS, policyQuery } from "@/api/queries";
import { useWorkspace } from "@/shell/workspace";
import { toast } from "@/ui/Toaster";

export type Policy = Schemas["PolicyView"];
export type Mode = Policy["mode"];
export type Guardrail = Policy["byok"];

/** What calls meet now, in one word. */
export const aiConfigQuery = (workspace: string) =>
  queryOptions({
    queryKey: ["workspace", workspace, "ai-config"],
    queryFn: ({ signal }) => {
      const params = { path: { workspace_id: workspace } };
      return ok(api.GET("/api/v1/workspaces/{workspace_id}/ai-config", { params, signal }));
    },
    refetchInterval: LIVE_MS,
  });

/** The credits of the caller's own account. */
export const creditsQuery = queryOptions({
  queryKey: ["me", "credits"],
  queryFn: ({ signal }) => ok(api.GET("/api/v1/users/me/credits", { signal })),
  refetchInterval: LIVE_MS,
});

type Patch = Schemas["PolicyPatch"];

/** So often a change is made anew of a policy that others changed elsewhere meanwhile. */
const TRIES = 3;

/**
 * Changes the policy; whatever follows from it is asked for anew. `edited`: whether something of `policy` is being changed
 * here and not saved. What somebody else changed since that began is not overwritten unseen: the first try is refused and
 * shows theirs, and the next one, by somebody who has seen it, puts ours in its place.
 */
export function usePatchPolicy(done: string, policy: Policy, edited = false) {
  const queries = useQueryClient();
  const workspace = useWorkspace();
  const begun = useRef(policy);
  useEffect(() => {
    if (!edited) begun.current = policy;
  }, [policy, edited]);
  return useMutation({
    mutationFn: (body: Patch) =>
      changePolicy(queries, workspace.id, (now) => {
        const theirs = overtaken(body, begun.current, now);
        begun.current = now;
        if (theirs.length > 0) throw new ApiError(412, { ...OVERTAKEN, details: { theirs } }, null);
        return body;
      }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["workspace", workspace.id] });
      toast(done, "It counts from the next call.");
    },
  });
}

/**
 * Changes the policy as `edit` says of the one that is there: read just before, and refused by the server where it is
 * another by then.
 */
export async function changePolicy(queries: QueryClient, workspace: string, edit: (now: Policy) => Patch) {
  for (let tried = 1; ; tried += 1) {
    const { policy, etag } = await readPolicy(queries, workspace);
    const body = edit(policy);
    const params = { path: { workspace_id: workspace }, header: etag === null ? {} : { "if-match": etag } };
    try {
      return await ok(api.PATCH("/api/v1/workspaces/{workspace_id}/policy", { params, body }));
    } catch (error) {
      const again = error instanceof ApiError && error.code === "precondition_failed" && tried < TRIES;
      if (!again) throw error;
    }
  }
}

/** The policy as it is now, which all who show it see from here on, and what names its state. */
async function readPolicy(queries: QueryClient, workspace: string): Promise<{ policy: Policy; etag: string | null }> {
  const params = { path: { workspace_id: workspace } };
  const call = api.GET("/api/v1/workspaces/{workspace_id}/policy", { params });
  const policy = await ok(call);
  queries.setQueryData(policyQuery(workspace).queryKey, policy);
  return { policy, etag: (await call).response.headers.get("etag") };
}

/** As a refusal of the server: it is shown like one. */
const OVERTAKEN = {
  code: "precondition_failed",
  detail: "somebody else changed what you change; nothing was saved",
  hint: "Yours is still here. Save again to put it in the place of theirs, or cancel to see theirs.",
};

/** A value that a change would overwrite and that somebody else set since the change was begun. */
export interface Theirs {
  /** By its name in the API. */
  field: string;
  value: unknown;
}

/** What a patch would overwrite unseen. Of presets and tiers only the entries that it names count. */
export function overtaken(patch: Patch, begun: Policy, now: Policy): Theirs[] {
  const theirs: Theirs[] = [];
  const look = (field: string, before: unknown, after: unknown) => {
    if (JSON.stringify(before ?? null) !== JSON.stringify(after ?? null)) theirs.push({ field, value: after ?? null });
  };
  for (const name of Object.keys(patch) as (keyof Patch & keyof Policy)[]) {
    if (name !== "presets" && name !== "tiers") {
      look(name, begun[name], now[name]);
      continue;
    }
    const [before, after] = [begun[name], now[name]] as [Record<string, unknown>, Record<string, unknown>];
    for (const entry of Object.keys(patch[name] ?? {})) look(`${name}.${entry}`, before[entry], after[entry]);
  }
  return theirs;
}

/** What the consent to credits counts for in the mode that the calls meet; `null`: the instance does not offer it. */
export function consentLead(mode: Mode | null): string {
  if (mode === "auto") return "Credits step in for a key that failed only by this consent.";
  const now =
    mode === null
      ? "the instance does not offer this workspace's mode, so every call is refused"
      : `in this workspace ${mode} counts`;
  return `Counts in the mode auto alone; ${now}.`;
}

const NANO_USD_OF_CREDIT = 10_000_000;

/** An amount of credits as it is typed, in billionths of a US dollar; `undefined`: it is none. */
export function nanoUsdOfCredits(text: string): number | undefined {
  const [, whole, part = ""] = /^(\d{1,8})(?:\.(\d{1,7}))?$/.exec(text.trim()) ?? [];
  if (whole === undefined) return undefined;
  return Number(whole) * NANO_USD_OF_CREDIT + Number(part.padEnd(7, "0"));
}

/** Milliseconds after which calls are hedged, as they are typed; `null`: never; `undefined`: they are none. */
export function hedgeAfterMs(text: string): number | null | undefined {
  if (text.trim() === "") return null;
  const millis = /^\d{1,5}$/.test(text.trim()) ? Number(text) : 0;
  return millis >= 100 && millis <= 60_000 ? millis : undefined;
}

/** Billionths of a US dollar as credits that are typed. */
export function typedCredits(nano: number): string {
  const part = String(nano % NANO_USD_OF_CREDIT)
    .padStart(7, "0")
    .replace(/0+$/, "");
  return `${Math.floor(nano / NANO_USD_OF_CREDIT)}${part && `.${part}`}`;
}
