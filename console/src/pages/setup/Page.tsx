import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { Frame } from "@/shell/Frame";
import { keepFirstKey } from "@/shell/firstKey";
import { Button, buttonClass } from "@/ui/Button";
import { CodeBlock } from "@/ui/Copy";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { NewPasswordField } from "@/ui/NewPasswordField";
import { Note } from "@/ui/Note";
import { Skeleton } from "@/ui/Skeleton";
import { takeToken } from "../token";

// The credential leaves the address bar and the history as soon as the page is there.
const token = takeToken();

/** The first start: makes the first user. */
export function Page() {
  const status = useQuery({ queryKey: ["setup"], queryFn: () => ok(api.GET("/api/v1/setup")) });
  const [done, setDone] = useState<Schemas["SetupDone"]>();
  if (done) return <Done done={done} />;
  return (
    <Frame title="Set up Keybearer" lead="You become the admin of this instance, with a workspace named Personal.">
      {status.isPending && <Skeleton className="h-40 w-full" />}
      {status.isError && <ErrorNote error={status.error} />}
      {status.data && !status.data.needed && (
        <div className="flex flex-col items-start gap-4">
          <Note>This instance is set up already.</Note>
          <Link to="/login" className={buttonClass("primary")}>
            Log in
          </Link>
        </div>
      )}
      {status.data?.needed && !token && (
        <Note tone="warn">
          Open the link that the server printed at its start; it ends with #token=… Each start prints a new one.
        </Note>
      )}
      {status.data?.needed && token && <FirstUserForm token={token} onDone={setDone} />}
    </Frame>
  );
}

function FirstUserForm({ token, onDone }: { token: string; onDone: (done: Schemas["SetupDone"]) => void }) {
  const queries = useQueryClient();
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const create = useMutation({
    mutationFn: () => ok(api.POST("/api/v1/setup", { body: { token, email: email.trim(), password } })),
    onSuccess: (done) => {
      queries.clear();
      onDone(done);
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (password === again) create.mutate();
  };
  return (
    <form onSubmit={submit} className="flex flex-col gap-4">
      <TextField
        label="E-mail"
        type="email"
        autoComplete="username"
        required
        maxLength={254}
        value={email}
        onChange={(event) => setEmail(event.target.value)}
      />
      <NewPasswordField value={password} onChange={setPassword} />
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
      {create.isError && <ErrorNote error={create.error} />}
      <Button type="submit" look="primary" size="large" busy={create.isPending}>
        Create the admin
      </Button>
    </form>
  );
}

function Done({ done }: { done: Schemas["SetupDone"] }) {
  return (
    <Frame next title="Your API key" lead="It is shown this once. Keep it where you keep passwords.">
      <div className="flex flex-col gap-5">
        <CodeBlock wrap name="API key" text={done.api_key.key} />
        <p className="text-soft">
          Programs call models with it. It belongs to the workspace Personal and has the scopes of everyday use; you can
          revoke it at any time. You are logged in as {done.user.email}.
        </p>
        <Link
          to={`/w/${done.workspace_id}/start`}
          className={buttonClass("primary", "large")}
          onClick={() => keepFirstKey(done.workspace_id, done.api_key.key)}
        >
          Go on
        </Link>
      </div>
    </Frame>
  );
}
