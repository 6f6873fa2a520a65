import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { Button } from "@/ui/Button";
import { Dialog, DialogActions } from "@/ui/Dialog";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { toast } from "@/ui/Toaster";

/** Makes a person with an account of their own. */
export function NewPersonDialog({ onClose }: { onClose: () => void }) {
  const queries = useQueryClient();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const create = useMutation({
    mutationFn: () => ok(api.POST("/api/v1/users", { body: { email: email.trim(), password } })),
    gcTime: 0,
    onSuccess: async (user) => {
      await Promise.all([
        queries.invalidateQueries({ queryKey: ["admin", "users"] }),
        queries.invalidateQueries({ queryKey: ["admin", "accounts"] }),
      ]);
      toast(`${user.email} can log in`, "Hand the password over; no mail is sent.");
      onClose();
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  return (
    <Dialog
      open
      busy={create.isPending}
      onClose={onClose}
      title="New user"
      description="The person gets an account on the plan of new accounts, with its included credits, and a workspace named Personal."
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        <TextField
          label="E-mail"
          type="email"
          required
          maxLength={254}
          autoComplete="off"
          value={email}
          onChange={(event) => setEmail(event.target.value)}
        />
        <TextField
          label="First password"
          type="password"
          hint="10 to 128 characters. Hand it over; the person can change it under Account."
          required
          minLength={10}
          maxLength={128}
          autoComplete="new-password"
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        {create.isError && <ErrorNote error={create.error} />}
        <DialogActions>
          <Button onClick={onClose} disabled={create.isPending}>
            Cancel
          </Button>
          <Button
            type="submit"
            look="primary"
            busy={create.isPending}
            disabled={email.trim() === "" || password.length < 10}
          >
            Create user
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
