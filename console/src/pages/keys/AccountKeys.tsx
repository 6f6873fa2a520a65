import { useQuery } from "@tanstack/react-query";
import { useWorkspace } from "@/shell/workspace";
import { Note } from "@/ui/Note";
import type { Provider } from "./keys";
import { accountKeysQuery } from "./scope";

/** The keys of the account, which serve all of its workspaces, after their own. Its owner alone may see them. */
export function AccountKeys({ providers }: { providers: Provider[] }) {
  const { account_id, role } = useWorkspace();
  const keys = useQuery({ ...accountKeysQuery(account_id), enabled: role === "owner" });
  if (!keys.data || keys.data.length === 0) return null;
  const name = (id: string) => providers.find((provider) => provider.id === id)?.name ?? id;
  const names = keys.data.map(({ provider, label }) => `${name(provider)} ${label}`);
  return (
    <Note>
      Keys of your account serve here too, after the workspace's own: <strong>{names.join(", ")}</strong>.
    </Note>
  );
}
