import { Link } from "@tanstack/react-router";
import { NEW } from "@/shell/newDialog";
import { useMe } from "@/shell/workspace";

/** That nothing serves where credits pay, and what whoever sees it can do about it. */
export function NoPlatformKey() {
  const isInstanceAdmin = useMe().user.instance_admin;
  return (
    <>
      The instance has no key that serves where credits pay: such calls are refused with 402.{" "}
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
