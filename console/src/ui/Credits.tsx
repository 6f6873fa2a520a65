import { credits, creditsOf } from "@/format/credits";
import { usd } from "@/format/money";

/** What credits pay, hold or are left: in credits, with what they are worth in dollars for who points at it. */
export function Credits({ nanoUsd, digits }: { nanoUsd: number; digits?: number }) {
  return (
    <span className="whitespace-nowrap tabular-nums" title={usd(nanoUsd)}>
      {credits(creditsOf(nanoUsd), digits)}
    </span>
  );
}
