import type { Schemas } from "@/api/client";
import { credits } from "@/format/credits";
import { usd } from "@/format/money";
import { Figure, Figures } from "@/ui/Figures";
import { Time } from "@/ui/Time";

/** What an account has to spend. */
export function BalanceFigures({ balance }: { balance: Schemas["Balance"] }) {
  const { available, reserved, debt, monthly, next_reset } = balance;
  return (
    <Figures>
      <Figure name="Available" value={credits(available.credits)} detail={usd(available.nano_usd)} />
      <Figure name="Held for running calls" value={credits(reserved.credits)} detail={usd(reserved.nano_usd)} />
      <Figure
        name="Owed"
        value={credits(debt.credits)}
        detail={debt.nano_usd === 0 ? "Nothing is owed" : "The next credits repay it first"}
      />
      <Figure
        name="Included each month"
        value={credits(monthly.credits)}
        detail={
          next_reset ? (
            <>
              They come <Time at={next_reset} />
            </>
          ) : (
            "None are included"
          )
        }
      />
    </Figures>
  );
}
