import { Link } from "@tanstack/react-router";
import type { ApiError } from "@/api/error";
import { credits, creditsOf } from "@/format/credits";
import { useMe, useWorkspace } from "@/shell/workspace";
import { buttonClass } from "@/ui/Button";
import { ErrorNote } from "@/ui/ErrorNote";

/** The balance does not bear the call: how much is held for it, and what can be done about it on this page and on others. */
export function CreditsExhausted({ error }: { error: ApiError }) {
  const workspace = useWorkspace();
  const ownsAccount = useMe().user.account_id === workspace.account_id;
  const needed = amountOf(error.details.needed);
  const available = amountOf(error.details.available);
  const amounts = [needed && `${needed} would be held for it`, available && `${available} are there`].filter(Boolean);
  return (
    <div className="flex flex-col items-start gap-2">
      <ErrorNote error={error} hint={HINT} title="The account's credits do not bear this call" />
      {amounts.length > 0 && <p>{`${amounts.join("; ")}.`}</p>}
      <div className="flex flex-wrap gap-2">
        {ownsAccount && (
          <Link to="/account/credits" className={buttonClass("secondary", "small")}>
            See the credits
          </Link>
        )}
        <Link to={`/w/${workspace.id}/keys`} className={buttonClass("secondary", "small")}>
          See the provider keys
        </Link>
      </div>
    </div>
  );
}

/** An amount among the details of an error. */
function amountOf(value: unknown): string | undefined {
  const amount = value as { nano_usd?: unknown } | null | undefined;
  return typeof amount?.nano_usd === "number" ? credits(creditsOf(amount.nano_usd)) : undefined;
}

/** In the place of the server's hint, which speaks of `max_tokens` and `resets_at`: neither is on this page. */
const HINT = "Lower the output limit or choose a cheaper model. Own keys serve without credits";
