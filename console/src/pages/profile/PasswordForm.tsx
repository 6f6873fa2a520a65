import { useMutation, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { Button } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { MIN_PASSWORD, NewPasswordField } from "@/ui/NewPasswordField";
import { Card, Section } from "@/ui/Page";
import { toast } from "@/ui/Toaster";
import { useUnsaved } from "@/ui/Unsaved";
import { sessionsQuery } from "./queries";

/** Changes the password; all other sessions end. */
export function PasswordForm() {
  const queries = useQueryClient();
  const [now, setNow] = useState("");
  const [next, setNext] = useState("");
  const [again, setAgain] = useState("");
  useUnsaved(now !== "" || next !== "" || again !== "");
  const change = useMutation({
    mutationFn: () => ok(api.PUT("/api/v1/me/password", { body: { current_password: now, new_password: next } })),
    gcTime: 0,
    onSuccess: async () => {
      setNow("");
      setNext("");
      setAgain("");
      await queries.invalidateQueries(sessionsQuery);
      toast("Password changed", "Your other sessions have ended.");
    },
    onError: () => setNow(""),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate();
  };
  const differs = again !== "" && again !== next;
  return (
    <Section title="Password" lead="Changing it ends all of your other sessions. API keys go on working.">
      <Card className="p-4">
        <form onSubmit={submit} className="flex max-w-md flex-col gap-4">
          <TextField
            label="Present password"
            type="password"
            autoComplete="current-password"
            required
            maxLength={128}
            value={now}
            onChange={(event) => setNow(event.target.value)}
          />
          <NewPasswordField label="New password" value={next} onChange={setNext} />
          <TextField
            label="New password again"
            type="password"
            autoComplete="new-password"
            required
            maxLength={128}
            error={differs ? "This is not the same." : undefined}
            value={again}
            onChange={(event) => setAgain(event.target.value)}
          />
          {change.isError && <ErrorNote error={change.error} />}
          <div>
            <Button
              type="submit"
              look="primary"
              busy={change.isPending}
              disabled={now === "" || next.length < MIN_PASSWORD || again !== next}
            >
              Change password
            </Button>
          </div>
        </form>
      </Card>
    </Section>
  );
}
