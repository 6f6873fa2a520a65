import { useMutation, useQuery } from "@tanstack/react-query";
import { Link, useSearch } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { api, ok, type Schemas } from "@/api/client";
import { Frame } from "@/shell/Frame";
import { useMe } from "@/shell/workspace";
import { Button, buttonClass } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";
import { TextField } from "@/ui/Field";
import { Note } from "@/ui/Note";
import { Skeleton } from "@/ui/Skeleton";
import { Time } from "@/ui/Time";

/** Approving a program that logs in by a code: `keybearer login` prints the link to this page. */
export function Page() {
  const { code: fromLink } = useSearch({ strict: false }) as { code?: string };
  const [code, setCode] = useState(fromLink ?? "");
  const [asked, setAsked] = useState(fromLink);
  const look = (event: FormEvent) => {
    event.preventDefault();
    setAsked(code.trim().toUpperCase());
  };
  return (
    <Frame title="Log a program in" lead="Only if you started it yourself, just now.">
      {asked ? (
        <Waiting key={asked} code={asked} onOther={() => setAsked(undefined)} />
      ) : (
        <form onSubmit={look} className="flex flex-col gap-4">
          <TextField
            label="Code"
            hint="Eight letters that the program shows, such as BCDF-GHJK"
            required
            autoComplete="off"
            spellCheck={false}
            pattern="[A-Za-z0-9]{4}-?[A-Za-z0-9]{4}"
            maxLength={9}
            value={code}
            onChange={(event) => setCode(event.target.value)}
          />
          <Button type="submit" look="primary" size="large">
            Go on
          </Button>
        </form>
      )}
    </Frame>
  );
}

function Waiting({ code, onOther }: { code: string; onOther: () => void }) {
  const me = useMe();
  const params = { path: { user_code: code } };
  const waiting = useQuery({
    queryKey: ["device-login", code],
    queryFn: () => ok(api.GET("/api/v1/device-logins/{user_code}", { params })),
    // Each wrong code counts against the person; nothing is asked twice by itself.
    retry: false,
    refetchOnWindowFocus: false,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const answer = useMutation({
    mutationFn: async (approve: boolean) => {
      if (approve) await ok(api.POST("/api/v1/device-logins/{user_code}/approve", { params }));
      else await ok(api.DELETE("/api/v1/device-logins/{user_code}", { params }));
      return approve;
    },
  });
  if (answer.isSuccess) {
    return (
      <div className="flex flex-col items-start gap-4">
        <Note>
          {answer.data
            ? "Approved. The program is logged in within a few seconds; you can close this page."
            : "Refused. The program is told so."}
        </Note>
        <Link to="/" className={buttonClass()}>
          Go to my workspaces
        </Link>
      </div>
    );
  }
  if (waiting.isPending) return <Skeleton className="h-32 w-full" />;
  if (waiting.isError) {
    return (
      <div className="flex flex-col items-start gap-4">
        <ErrorNote error={waiting.error} />
        <Button onClick={onOther}>Type another code</Button>
      </div>
    );
  }
  return (
    <div className="flex flex-col gap-5">
      <Facts code={code} program={waiting.data} />
      <Note tone="warn">
        It will act as {me.user.email}, with everything that you may do. If somebody sent you this code, refuse it.
      </Note>
      {answer.isError && <ErrorNote error={answer.error} />}
      <div className="flex gap-2">
        <Button
          look="primary"
          busy={answer.isPending && answer.variables}
          disabled={answer.isPending && !answer.variables}
          onClick={() => answer.mutate(true)}
        >
          Approve
        </Button>
        <Button
          look="danger"
          busy={answer.isPending && !answer.variables}
          disabled={answer.isPending && answer.variables}
          onClick={() => answer.mutate(false)}
        >
          Refuse
        </Button>
      </div>
    </div>
  );
}

function Facts({ code, program }: { code: string; program: Schemas["DeviceLoginView"] }) {
  const row = "flex justify-between gap-4 py-2";
  return (
    <dl className="divide-y divide-line">
      <div className={row}>
        <dt className="text-soft">Code</dt>
        <dd className="font-mono">{code}</dd>
      </div>
      <div className={row}>
        <dt className="text-soft">Program</dt>
        <dd className="text-right break-words">{program.client}</dd>
      </div>
      <div className={row}>
        <dt className="text-soft">Address</dt>
        <dd className="font-mono">{program.address ?? "unknown"}</dd>
      </div>
      <div className={row}>
        <dt className="text-soft">Asked</dt>
        <dd>
          <Time at={program.created_at} />
        </dd>
      </div>
    </dl>
  );
}
