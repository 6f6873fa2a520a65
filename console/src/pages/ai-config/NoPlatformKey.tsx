import { Link } from "@tanstack/react-router";
import { NEW } from "@/shell/newDialog";
import { useMe } from "@/shell/workspace";

/** That nothing serves where credits pay, and what whoever sees it can do about it; `provider` is the name of the only one that it is about. */
export function NoPlatformKey({ provider }: { provider?: string }) {
  const isInstanceAdmin = useMe().user.instance_admin;
  return (
    <>
      The instance has no key that serves {provider && `models of ${provider} `}where credits pay: such calls are
      refused with 402.{" "}
      {isInstanceAdmin ? (
        <>
          Add one under{" "}
          <Link
            to="/admin/platform-keys"
            search={NEW as never}
            className="text-accent-text underline underline-offset-2"
          >
            Platform keys
          </Link>
          .
        </>
      ) : (
        "Its admins can add one."
      )}
    </>
  );
}
