const SMALL = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 2 });

/** Credits of 0.01 USD, with the unit: `2,000 credits`, `1 credit`, `0.0042 credits`. `digits` behind the point at most. */
export function credits(value: number, digits = 2): string {
  const size = Math.abs(value);
  const text =
    size === 0 || size >= 0.01
      ? new Intl.NumberFormat("en-US", { maximumFractionDigits: digits }).format(value)
      : SMALL.format(value);
  return `${text} ${text === "1" || text === "-1" ? "credit" : "credits"}`;
}

/** Credits of 0.01 USD. */
export const creditsOf = (nanoUsd: number) => nanoUsd / 10_000_000;
