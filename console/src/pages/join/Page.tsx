import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, ok } from "@/api/client";
import { meQuery } from "@/api/queries";
import { Frame } from "@/shell/Frame";
import { Button } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { NewPasswordField } from "@/ui/NewPasswordField";
import { Skeleton } from "@/ui/Skeleton";
import { takeToken } from "../token";

const fromLink = takeToken();

/** Accepting an invitation, as a new person or as one who is logged in. */
export function Page() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const me = useQuery(meQuery);
  const [token, setToken] = useState(fromLink ?? "");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const differ = again !== "" && password !== again;
  const accept = useMutation({
    mutationFn: () => {
      // The invitation says who a new person is, and the answer logs them in.
      const body = { token: token.trim(), ...(me.data ? {} : { password }) };
      return ok(api.POST("/api/v1/invitations/accept", { body }));
    },
    gcTime: 0,
    onSuccess: async ({ workspace_id }) => {
      queries.clear();
      await navigate({ to: `/w/${workspace_id}`, replace: true });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    // Nobody can send a forgotten password to a new person: no mail is sent.
    if (me.data || password === again) accept.mutate();
  };
  if (me.isPending) {
    return (
      <Frame title="Join a workspace">
        <Skeleton className="h-32 w-full" />
      </Frame>
    );
  }
  return (
    <Frame
      title="Join a workspace"
      lead={me.data ? `You are logged in as ${me.data.user.email}.` : "Choose a password, and you are in."}
    >
      <form onSubmit={submit} className="flex flex-col gap-4">
        {!fromLink && (
          <TextField
            label="Invitation token"
            hint="It begins with kbi_ and came with the invitation."
            required
            autoComplete="off"
            spellCheck={false}
            value={token}
            onChange={(event) => setToken(event.target.value)}
          />
        )}
        {!me.data && (
          <>
            <NewPasswordField value={password} onChange={setPassword} />
            <TextField
              label="The same password again"
              type="password"
              autoComplete="new-password"
              required
              maxLength={128}
              error={differ ? "The two passwords differ." : undefined}
              value={again}
              onChange={(event) => setAgain(event.target.value)}
            />
          </>
        )}
        {accept.isError && <ErrorNote error={accept.error} />}
        <Button type="submit" look="primary" size="large" busy={accept.isPending}>
          Join
        </Button>
        {!me.data && (
          <p className="text-center text-soft">
            Known here already?{" "}
            <Link to="/login" search={{ next: "/join" }} className="text-accent-text underline">
              Log in first
            </Link>
          </p>
        )}
      </form>
    </Frame>
  );
}
