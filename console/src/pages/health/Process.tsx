import type { ReactNode } from "react";
import { bytes, count, milliseconds, plural } from "@/format/number";
import { Badge } from "@/ui/Badge";
import { Fact, Facts } from "@/ui/Facts";
import { Meter } from "@/ui/Meter";
import { Card, Section } from "@/ui/Page";
import { Time } from "@/ui/Time";
import type { Health } from "./queries";

/** What the data plane of the process has to do, beside what it can bear. */
export function Traffic({ health: { traffic } }: { health: Health }) {
  if (!traffic) {
    return (
      <Section title="Traffic">
        <p className="text-soft">This process serves no calls of models.</p>
      </Section>
    );
  }
  const { calls, calls_limit, spool_bytes, spool_limit_bytes, spool_ready } = traffic;
  return (
    <Section title="Traffic">
      <div className="grid gap-3 sm:grid-cols-2">
        <Load
          name="Calls"
          text={`${count(calls)} of ${count(calls_limit)}`}
          value={calls}
          limit={calls_limit}
          detail="Running, or ended and not yet written to the database"
        />
        <Load
          name="Spool"
          text={`${bytes(spool_bytes)} of ${bytes(spool_limit_bytes)}`}
          value={spool_bytes}
          limit={spool_limit_bytes}
          detail={
            <>
              Usage that waits for the database.{" "}
              {spool_ready ? "The disk takes it." : <span className="text-bad">The disk does not take it.</span>}
            </>
          }
        />
      </div>
    </Section>
  );
}

function Load({
  name,
  text,
  value,
  limit,
  detail,
}: {
  name: string;
  text: string;
  value: number;
  limit: number;
  detail: ReactNode;
}) {
  return (
    <Card className="flex flex-col gap-2 p-4">
      <div className="flex flex-wrap items-baseline justify-between gap-x-4">
        <p className="text-xs text-soft">{name}</p>
        <p className="font-semibold tabular-nums">{text}</p>
      </div>
      <Meter label={name} value={value} limit={limit} text={text} />
      <p className="text-xs text-soft">{detail}</p>
    </Card>
  );
}

const ENGINES: Record<Health["engine"], string> = { sqlite: "SQLite, one file", postgres: "PostgreSQL" };

/** The process, its database and its sealing key. */
export function ProcessFacts({ health }: { health: Health }) {
  return (
    <Facts>
      <Fact name="Version">
        <span className="font-medium">{health.version}</span>
      </Fact>
      <Fact name="Started">
        <Time at={health.started_at} />
      </Fact>
      <Fact name="Database">
        {ENGINES[health.engine]}
        <span className="text-xs text-soft">migration {count(health.schema_version)}</span>
      </Fact>
      <Fact name="Changes of other processes">
        <span>
          looked for {milliseconds(health.changes_read_ms_ago)} ago, known up to number {count(health.revision)}
        </span>
      </Fact>
      <Fact name="Tidied up">{health.tidied_at ? <Time at={health.tidied_at} /> : <Badge>Not yet</Badge>}</Fact>
      <Fact name="Sealing key">
        <span>
          made <Time at={health.sealing_key_created_at} />, replaced by itself{" "}
          <Time at={health.sealing_key_expires_at} />
        </span>
      </Fact>
      <Fact name="Pages that listen">{plural(health.streams, "stream")} of events</Fact>
      <Fact name="Backups">
        <span className="text-soft">Not known here: they are the operator's own</span>
      </Fact>
    </Facts>
  );
}
