import { queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { LIVE_MS } from "@/api/queries";
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

/** Changes the policy; whatever follows from it is asked for anew. */
export function usePatchPolicy(done: string) {
  const queries = useQueryClient();
  const workspace = useWorkspace();
  return useMutation({
    mutationFn: (body: Schemas["PolicyPatch"]) => {
      const params = { path: { workspace_id: workspace.id } };
      return ok(api.PATCH("/api/v1/workspaces/{workspace_id}/policy", { params, body }));
    },
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ["workspace", workspace.id] });
      toast(done, "It counts from the next call.");
    },
  });
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
