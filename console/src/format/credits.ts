const WHOLE = new Intl.NumberFormat("en-US", { maximumFractionDigits: 2 });
const SMALL = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 2 });

/** Credits of 0.01 USD, with the unit: `2,000 credits`, `1 credit`, `0.0042 credits`. */
export function credits(value: number): string {
  const size = Math.abs(value);
  const text = size === 0 || size >= 0.01 ? WHOLE.format(value) : SMALL.format(value);
  return `${text} ${text === "1" || text === "-1" ? "credit" : "credits"}`;
}
