import { Link } from "@tanstack/react-router";
import { Badge } from "@/ui/Badge";
import { ShortId } from "@/ui/Copy";
import { Cell, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import type { Names } from "./choice";
import type { Row } from "./queries";

export const OUTCOMES: Record<Row["outcome"], string> = {
  ok: "Done",
  refused: "Refused",
  probe_failed: "Probe failed",
};

/** Entries of an audit log. */
export function AuditTable({
  rows,
  names,
  accountLinks,
}: {
  rows: Row[];
  names: Names;
  /** Accounts lead to their pages, which only admins of the instance have. */
  accountLinks: boolean;
}) {
  return (
    <Table label="Audit log" head={["When", "Who", "Action", "Of what", "Outcome", "Request"]}>
      {rows.map((row) => (
        <tr key={row.sequence}>
          <Cell>
            <Time at={row.at} exact />
            <span className="block text-xs whitespace-nowrap text-soft tabular-nums">No. {row.sequence}</span>
          </Cell>
          <Cell className="min-w-48 wrap-anywhere">
            <Name id={row.actor} names={names} none="not told" />
          </Cell>
          <Cell>
            <code className="font-mono text-xs whitespace-nowrap">{row.action}</code>
          </Cell>
          <Cell className="max-w-64 min-w-40 wrap-anywhere">
            {(row.provider || row.label) && <p>{[row.provider, row.label].filter(Boolean).join(" ")}</p>}
            <Name id={row.subject} names={names} none="" accountLinks={accountLinks} />
            {row.kek_id && <p className="font-mono text-xs text-soft">sealed to {row.kek_id}</p>}
            {row.content_sha256 && (
              <p className="font-mono text-xs text-soft" title={row.content_sha256}>
                SHA-256 {row.content_sha256.slice(0, 12)}…
              </p>
            )}
          </Cell>
          <Cell>
            <Badge tone={row.outcome === "ok" ? "ok" : "bad"}>{OUTCOMES[row.outcome] ?? row.outcome}</Badge>
          </Cell>
          <Cell>
            <ShortId id={row.request_id} what="request" />
          </Cell>
        </tr>
      ))}
    </Table>
  );
}

function Name({
  id,
  names,
  none,
  accountLinks,
}: {
  id: string | null | undefined;
  names: Names;
  none: string;
  accountLinks?: boolean;
}) {
  if (!id) return <span className="text-soft">{none}</span>;
  const name = names.get(id);
  const shown = name ? <span title={id}>{name}</span> : <code className="font-mono text-xs text-soft">{id}</code>;
  if (!accountLinks || !id.startsWith("acc_")) return shown;
  return (
    <Link to={`/admin/accounts/${id}`} className="text-accent-text underline-offset-2 hover:underline">
      {name ?? <code className="font-mono text-xs">{id}</code>}
    </Link>
  );
}
