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
import { takeToken } from "../token";

const fromLink = takeToken();

/** Accepting an invitation, as a new person or as one who is logged in. */
export function Page() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const me = useQuery(meQuery);
  const [token, setToken] = useState(fromLink ?? "");
  const [email, setEmail] = useState("");
  const [password, setPassword] = useState("");
  const accept = useMutation({
    mutationFn: async () => {
      const trimmed = token.trim();
      if (me.data) return ok(api.POST("/api/v1/invitations/accept", { body: { token: trimmed } }));
      const joined = await ok(api.POST("/api/v1/invitations/accept", { body: { token: trimmed, password } }));
      await ok(api.POST("/api/v1/sessions", { body: { email: email.trim(), password } }));
      return joined;
    },
    onSuccess: async ({ workspace_id }) => {
      queries.clear();
      await navigate({ to: `/w/${workspace_id}`, replace: true });
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    accept.mutate();
  };
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
            <TextField
              label="E-mail"
              hint="The address that was invited"
              type="email"
              autoComplete="username"
              required
              maxLength={254}
              value={email}
              onChange={(event) => setEmail(event.target.value)}
            />
            <NewPasswordField value={password} onChange={setPassword} />
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
