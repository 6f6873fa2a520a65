import { Link, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { Frame } from "@/shell/Frame";
import { NewWorkspaceDialog } from "@/shell/NewWorkspaceDialog";
import { useLogOut } from "@/shell/UserMenu";
import { useMe } from "@/shell/workspace";
import { Button, buttonClass } from "@/ui/Button";

/** For somebody who is in no workspace; everybody else is led to theirs. */
export function Page() {
  const [creating, setCreating] = useState(false);
  const navigate = useNavigate();
  const logOut = useLogOut();
  const isInstanceAdmin = useMe().user.instance_admin;
  return (
    <Frame title="No workspace yet" lead="Make one, or ask somebody to invite you to theirs.">
      <div className="flex flex-wrap gap-2">
        <Button look="primary" onClick={() => setCreating(true)}>
          New workspace
        </Button>
        <Link to="/account" className={buttonClass("secondary")}>
          Account
        </Link>
        {isInstanceAdmin && (
          <Link to="/admin" className={buttonClass("secondary")}>
            Instance
          </Link>
        )}
        <Button look="quiet" onClick={logOut}>
          Log out
        </Button>
      </div>
      <NewWorkspaceDialog
        open={creating}
        onClose={() => setCreating(false)}
        onCreated={(id) => navigate({ to: `/w/${id}/start` })}
      />
    </Frame>
  );
}
