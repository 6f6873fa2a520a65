import type { Schemas } from "@/api/client";
import { Badge } from "@/ui/Badge";
import { Button } from "@/ui/Button";
import { ActionCell, Cell, Table } from "@/ui/Table";
import { Time } from "@/ui/Time";
import { scopesText } from "./scopes";

/** API keys, without the keys. */
export function ApiKeyTable({
  keys,
  me,
  people,
  onEdit,
  onRevoke,
}: {
  keys: Schemas["ApiKeyView"][];
  me: string;
  /** E-mails by ids, as far as they are known. */
  people: Map<string, string>;
  onEdit: (key: Schemas["ApiKeyView"]) => void;
  onRevoke: (key: Schemas["ApiKeyView"]) => void;
}) {
  return (
    <Table label="API keys" head={["Name", "Permissions", "Minted", "Last used", "Expires"]} actions>
      {keys.map((key) => (
        <tr key={key.id} className={key.revoked_at ? "text-soft" : undefined}>
          <Cell>
            <p className="font-medium whitespace-nowrap">{key.name}</p>
            <code className="font-mono text-xs text-soft">{key.prefix}…</code>
            {key.default_model && (
              <span className="block max-w-64 text-xs wrap-anywhere text-soft">by default {key.default_model}</span>
            )}
          </Cell>
          <Cell className="whitespace-nowrap">
            <span title={key.scopes.join(", ")}>{scopesText(key.scopes)}</span>
          </Cell>
          <Cell className="whitespace-nowrap">
            <Time at={key.created_at} />
            <span className="block max-w-52 truncate text-xs text-soft">
              by {key.user_id === me ? "you" : (people.get(key.user_id) ?? key.user_id)}
            </span>
          </Cell>
          <Cell>{key.last_used_at ? <Time at={key.last_used_at} /> : <span className="text-soft">never</span>}</Cell>
          <Cell>
            <End of={key} />
          </Cell>
          <ActionCell>
            {!key.revoked_at && (
              <span className="flex justify-end gap-2">
                <Button size="small" aria-label={`Edit ${key.name}`} onClick={() => onEdit(key)}>
                  Edit
                </Button>
                <Button size="small" look="danger" aria-label={`Revoke ${key.name}`} onClick={() => onRevoke(key)}>
                  Revoke
                </Button>
              </span>
            )}
          </ActionCell>
        </tr>
      ))}
    </Table>
  );
}

function End({ of: key }: { of: Schemas["ApiKeyView"] }) {
  if (key.revoked_at) return <Badge>Revoked</Badge>;
  if (!key.expires_at) return <span className="text-soft">never</span>;
  if (Date.parse(key.expires_at) < Date.now()) return <Badge tone="warn">Expired</Badge>;
  return <Time at={key.expires_at} />;
}
