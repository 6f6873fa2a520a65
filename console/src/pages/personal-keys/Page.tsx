import { useQuery } from "@tanstack/react-query";
import { SharedKeys } from "@/pages/keys/SharedKeys";
import { accountKeysQuery, accountScope } from "@/pages/keys/scope";
import { useMe } from "@/shell/workspace";

/** The caller's keys, which serve all workspaces of the account. */
export function Page() {
  const { user } = useMe();
  return (
    <SharedKeys
      title="Personal keys"
      lead="Provider keys of your account. They serve all workspaces that you own, after the workspaces' own keys. They are sealed in your browser before they leave it."
      scope={accountScope(user.account_id)}
      keys={useQuery(accountKeysQuery(user.account_id))}
    />
  );
}
