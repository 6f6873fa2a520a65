import { useMutation } from "@tanstack/react-query";
import { api, ok, type Schemas } from "@/api/client";
import { Button } from "@/ui/Button";
import { CodeBlock } from "@/ui/Copy";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { Time } from "@/ui/Time";

/** Makes a link to a new password for somebody who forgot theirs; no mail is sent, so it ends with the link to hand over. */
export function PasswordLinkDialog({ user, onClose }: { user: Schemas["UserView"]; onClose: () => void }) {
  const make = useMutation({
    mutationFn: () => ok(api.POST("/api/v1/users/{user_id}/password-link", { params: { path: { user_id: user.id } } })),
    gcTime: 0,
  });
  if (make.data) {
    return (
      <Dialog
        open
        onClose={onClose}
        once
        title={`A new password for ${user.email}`}
        description="No mail is sent: hand this link over yourself. It is shown this once."
      >
        <CodeBlock
          wrap
          name="Password link"
          text={`${window.location.origin}/console/password#token=${make.data.token}`}
        />
        <p className="mt-3 text-xs text-soft">
          It works once and ends <Time at={make.data.expires_at} />. Whoever has it can choose the password of{" "}
          {user.email}.
        </p>
        <DialogActions>
          <Button look="primary" onClick={onClose}>
            Done
          </Button>
        </DialogActions>
      </Dialog>
    );
  }
  return (
    <Dialog
      open
      busy={make.isPending}
      onClose={onClose}
      title={`Password link for ${user.email}`}
      description="For somebody who forgot their password. The link lets whoever opens it choose a new one: once, within an hour."
    >
      <p className="text-sm text-soft">
        Until it is used nothing changes. Then the old password is void and all sessions of the person end; API keys go
        on. A link that was made before for this person ends now. The audit log has both, the link and its use.
      </p>
      {make.isError && (
        <div className="mt-4">
          <ErrorNote error={make.error} />
        </div>
      )}
      <DialogActions>
        <Button onClick={onClose} disabled={make.isPending}>
          Cancel
        </Button>
        <Button look="primary" busy={make.isPending} onClick={() => make.mutate()}>
          Make link
        </Button>
      </DialogActions>
    </Dialog>
  );
}
