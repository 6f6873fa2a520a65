import { useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useRef, useState } from "react";
import { api, ok } from "@/api/client";
import { day } from "@/format/time";
import { useMe } from "@/shell/workspace";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ConfirmDialog } from "@/ui/ConfirmDialog";
import { CopyButton } from "@/ui/Copy";
import { DangerItem, DangerZone } from "@/ui/Danger";
import { Fact, Facts } from "@/ui/Facts";
import { TextField } from "@/ui/Field";
import { PageBody, Section } from "@/ui/Page";
import { toast } from "@/ui/Toaster";
import { PasswordForm } from "./PasswordForm";
import { Sessions } from "./Sessions";

/** Oneself: who one is, the password, where one is logged in, and leaving. */
export function Page() {
  const { user } = useMe();
  return (
    <PageBody title="Profile">
      <Section title="You">
        <Facts>
          <Fact name="E-mail">
            <span className="break-all">{user.email}</span>
            {user.instance_admin && <Badge>Admin of the instance</Badge>}
          </Fact>
          <Fact name="Since">{day(user.created_at)}</Fact>
          <Fact name="Account id">
            <code className="font-mono text-xs break-all">{user.account_id}</code>
            <CopyButton text={user.account_id} name="the id of the account" />
          </Fact>
        </Facts>
      </Section>
      <PasswordForm />
      <Sessions />
      <DangerZone>
        <DeleteItem />
      </DangerZone>
    </PageBody>
  );
}

function DeleteItem() {
  const { user } = useMe();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const password = useRef<HTMLInputElement>(null);
  const [open, setOpen] = useState(false);
  const remove = async () => {
    await ok(api.DELETE("/api/v1/users/me", { body: { password: password.current?.value ?? "" } }));
    await navigate({ to: "/login", replace: true });
    queries.clear();
    toast(`The account of ${user.email} is deleted`);
  };
  return (
    <DangerItem
      title="Delete your account"
      action={
        <Button look="danger" onClick={() => setOpen(true)}>
          Delete account
        </Button>
      }
    >
      Your workspaces, with all keys in them, are deleted with it. This cannot be taken back.
      <ConfirmDialog
        open={open}
        onClose={() => setOpen(false)}
        title="Delete your account?"
        action="Delete account"
        danger
        typed={user.email}
        onConfirm={remove}
      >
        <p>
          At once and for good: the workspaces that you own are gone for all of their members, every call with their API
          keys is refused, and your provider keys are deleted here. At their providers they stay valid until you revoke
          them there. What is left of your credits is lost.
        </p>
        <p>Usage, the ledger and the audit log stay; they name ids only.</p>
        <TextField
          className="text-text"
          label="Your password"
          type="password"
          autoComplete="current-password"
          maxLength={128}
          ref={password}
        />
      </ConfirmDialog>
    </DangerItem>
  );
}
