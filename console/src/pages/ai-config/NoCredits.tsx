import { Link } from "@tanstack/react-router";
import { useMe, useWorkspace } from "@/shell/workspace";

/** That credits would pay and there are none, and what whoever sees it can do about it. */
export function NoCredits() {
  const me = useMe();
  const { account_id: account } = useWorkspace();
  const linked = "text-accent-text underline underline-offset-2";
  return (
    <>
      Credits would pay, and the account has none left: such calls are refused with 402.{" "}
      {me.user.instance_admin ? (
        <>
          <Link to={`/admin/accounts/${account}`} className={linked}>
            Give it credits
          </Link>
          .
        </>
      ) : me.user.account_id === account ? (
        <>
          See{" "}
          <Link to="/account/credits" className={linked}>
            Credits
          </Link>
          ; admins of the instance give more.
        </>
      ) : (
        "The workspace's owner sees when more come."
      )}
    </>
  );
}
