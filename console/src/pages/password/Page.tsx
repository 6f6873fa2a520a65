import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { ApiError } from "@/api/error";
import { Frame } from "@/shell/Frame";
import { Button, buttonClass } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { NewPasswordField } from "@/ui/NewPasswordField";
import { Note } from "@/ui/Note";
import { takeToken } from "../token";

// The credential leaves the address bar and the history as soon as the page is there.
const token = takeToken();

/** Where a password link leads: whoever has it chooses the password of the person that it is for. */
export function Page() {
  const [email, setEmail] = useState<string>();
  if (email !== undefined) {
    return (
      <Frame next title="Your password is set" lead={`Log in as ${email} with it. All earlier sessions have ended.`}>
        <Link to="/login" className={buttonClass("primary", "large")}>
          Log in
        </Link>
      </Frame>
    );
  }
  if (!token) {
    return (
      <Frame title="Choose a new password">
        <div className="flex flex-col items-start gap-4">
          <Note tone="warn">
            Open the whole link, which ends with #token=… If yours is used up or older than an hour, ask an admin of the
            instance for another.
          </Note>
          <Link to="/login" className={buttonClass("secondary")}>
            Log in
          </Link>
        </div>
      </Frame>
    );
  }
  return (
    <Frame title="Choose a new password" lead="It takes the place of the old one, and all your sessions end.">
      <NewPasswordForm token={token} onDone={setEmail} />
    </Frame>
  );
}

function NewPasswordForm({ token, onDone }: { token: string; onDone: (email: string) => void }) {
  const queries = useQueryClient();
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const set = useMutation({
    mutationFn: () => ok(api.POST("/api/v1/password-links/password", { body: { token, password } })),
    gcTime: 0,
    onSuccess: ({ email }) => {
      // A session of the same person in this browser is over.
      queries.clear();
      onDone(email);
    },
  });
  const isVoid = set.error instanceof ApiError && set.error.code === "invalid_password_link";
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (password === again) set.mutate();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <NewPasswordField label="New password" value={password} onChange={setPassword} />
      <TextField
        label="The same password again"
        type="password"
        autoComplete="new-password"
        required
        maxLength={128}
        error={again !== "" && password !== again ? "The two passwords differ." : undefined}
        value={again}
        onChange={(event) => setAgain(event.target.value)}
      />
      {set.isError && <ErrorNote error={set.error} />}
      <Button type="submit" look="primary" size="large" busy={set.isPending} disabled={isVoid}>
        Set password
      </Button>
    </form>
  );
}
