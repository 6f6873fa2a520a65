import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { instanceQuery } from "@/api/queries";
import { Frame } from "@/shell/Frame";
import { Button } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { Note } from "@/ui/Note";

/** Logging in with e-mail and password. */
export function Page() {
  const queries = useQueryClient();
  const router = useRouter();
  const { next } = useSearch({ strict: false }) as { next?: unknown };
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const setup = useQuery({ queryKey: ["setup"], queryFn: () => ok(api.GET("/api/v1/setup")) });
  const instance = useQuery(instanceQuery);
  const logIn = useMutation({
    mutationFn: () => ok(api.POST("/api/v1/sessions", { body: { email: email.trim(), password } })),
    onSuccess: async () => {
      queries.clear();
      await router.navigate({ href: ownPath(next), replace: true });
    },
    onError: () => setPassword(""),
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    logIn.mutate();
  };
  return (
    <Frame title="Log in">
      <form onSubmit={submit} className="flex flex-col gap-4">
        {setup.data?.needed && (
          <Note>
            Nobody has set this instance up yet. Open the set-up link that the server printed at its start; it ends with
            #token=…
          </Note>
        )}
        {instance.data?.local && (
          <Note>
            This is a local instance. On its machine run <code className="font-mono text-sm">keybearer console</code>:
            it makes a link that lets you in without a password.
          </Note>
        )}
        <TextField
          label="E-mail"
          type="email"
          autoComplete="username"
          required
          maxLength={254}
          value={email}
          onChange={(event) => setEmail(event.target.value)}
        />
        <TextField
          label="Password"
          type="password"
          autoComplete="current-password"
          required
          maxLength={128}
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        {logIn.isError && <ErrorNote error={logIn.error} />}
        <Button type="submit" look="primary" size="large" busy={logIn.isPending}>
          Log in
        </Button>
        {instance.data && !instance.data.local && (
          <p className="text-center text-xs text-soft">
            Forgot your password? An admin of the instance can give you a link to a new one.
          </p>
        )}
      </form>
    </Frame>
  );
}

/** Where to go after logging in: a path of the console and nothing else, since anybody can write such a link. */
function ownPath(next: unknown): string {
  return typeof next === "string" && /^\/(?![/\\])/.test(next) ? next : "/";
}
