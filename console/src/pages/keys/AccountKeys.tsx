import { useQuery } from "@tanstack/react-query";
import { api, ok } from "@/api/client";
import { LIVE_MS } from "@/api/queries";
import { useWorkspace } from "@/shell/workspace";
import { Note } from "@/ui/Note";
import type { Provider } from "./keys";

/** The keys of the account, which serve all of its workspaces, after their own. Its owner alone may see them. */
export function AccountKeys({ providers }: { providers: Provider[] }) {
  const { account_id, role } = useWorkspace();
  const keys = useQuery({
    queryKey: ["account", account_id, "provider-keys"],
    queryFn: async ({ signal }) => {
      const params = { path: { account_id } };
      return (await ok(api.GET("/api/v1/accounts/{account_id}/provider-keys", { params, signal }))).data;
    },
    enabled: role === "owner",
    refetchInterval: LIVE_MS,
  });
  if (!keys.data || keys.data.length === 0) return null;
  const name = (id: string) => providers.find((provider) => provider.id === id)?.name ?? id;
  const names = keys.data.map(({ provider, label }) => `${name(provider)} ${label}`);
  return (
    <Note>
      Keys of your account serve here too, after the workspace's own: <strong>{names.join(", ")}</strong>.
    </Note>
  );
}
