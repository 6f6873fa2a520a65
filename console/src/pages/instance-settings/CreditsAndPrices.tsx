import { Link } from "@tanstack/react-router";
import { plural } from "@/format/number";
import type { Option } from "@/ui/Select";
import { Rules } from "./Rules";
import { ChoiceRow, Group, NumberRow, SettingRow, useEditing, YesNoRow } from "./SettingRow";

const UNPRICED: Option<"block" | "count_tokens">[] = [
  { value: "block", label: "They are refused", detail: "402 price_unknown" },
  { value: "count_tokens", label: "They are served", detail: "Tokens are counted, and they cost nothing" },
];

/** What calls take from an account that credits pay. */
export function CreditsAndPrices({ plans, prices }: { plans: Option<string>[]; prices: number }) {
  const { shown, set } = useEditing();
  return (
    <Group
      title="Credits and prices"
      lead="A charge is the list price, times the ratio that fits, times the factor, times the account's rate."
    >
      <ChoiceRow
        field="overuse"
        title="When a charge exceeds the balance"
        options={[
          { value: "block", label: "Blocked beforehand", detail: "A call needs its whole hold; the rest is owed" },
          { value: "debt", label: "Owed", detail: "A call needs any credit; the next credits repay it" },
          { value: "forgive", label: "Written off", detail: "A call needs any credit; the rest is forgiven" },
        ]}
      >
        What a call may cost is known at its end alone.
      </ChoiceRow>
      <NumberRow field="credit_factor" title="Factor of all charges">
        0 to 1000, at most nine digits behind the point. 1: as the ratios say; 1.2: a fifth more; 0: nothing is charged.
      </NumberRow>
      <SettingRow
        field="credit_ratios"
        title="Ratios"
        wide
        group
        control={() => (
          <Rules
            rows={shown.credit_ratios}
            onChange={(rows) => set("credit_ratios", rows)}
            what="ratio"
            most={200}
            blank={{ provider: "*", model: "*", operation: "*", ratio: "1", credits_per_call: "" }}
            none="None. Calls take their list price."
            columns={[
              { name: "provider", label: "Provider", placeholder: "*" },
              { name: "model", label: "Model", placeholder: "*" },
              { name: "operation", label: "Operation", placeholder: "*" },
              { name: "ratio", label: "Times list price", placeholder: "1", decimal: true },
              { name: "credits_per_call", label: "Or credits a call", placeholder: "None", decimal: true },
            ]}
          />
        )}
      >
        How many credits a call takes for what it costs. The first that fits counts; the last one has * everywhere, so
        that no call is left out. Ratios are 0 to 1000. Credits for each call, 0 to 1,000,000, count in the place of the
        ratio.
      </SettingRow>
      <ChoiceRow field="unpriced_managed" title="Calls on credits without a known price" options={UNPRICED}>
        Of models whose price neither the catalog nor the instance says.
      </ChoiceRow>
      <ChoiceRow field="unpriced_byok" title="Calls on own keys without a known price" options={UNPRICED}>
        The same for calls that take no credits.
      </ChoiceRow>
      <NumberRow
        field="held_output_tokens"
        title="Output that credits are held for"
        unit="tokens"
        placeholder="The model's own most"
      >
        When a call sets no limit of its own. Nothing: as many as the model may write, or 4096 where that is not known.
      </NumberRow>
      <YesNoRow
        field="managed_hedging_allowed"
        title="Hedging of calls on credits"
        label="Calls that credits pay for may be hedged"
      >
        Where a workspace's policy says after how long. Credits pay for the call that won alone; what the provider of
        the other one bills all the same is the instance's.
      </YesNoRow>
      <ChoiceRow field="default_plan" title="Plan of new accounts" options={plans}>
        The terms of it are copied when the account is made.
      </ChoiceRow>
      <div className="p-4">
        <p className="font-medium">Prices that differ from the catalog's</p>
        <p className="mt-1 text-soft">
          {prices === 0 ? "There are none." : `There are ${plural(prices, "price")} of the instance's own.`} They belong
          to models and are not changed here; see{" "}
          <Link to="/admin/providers" className="text-accent-text underline underline-offset-2">
            Providers
          </Link>
          .
        </p>
      </div>
    </Group>
  );
}
