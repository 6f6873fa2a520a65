const NANO = 1_000_000_000;

/**
 * An amount in billionths of a US dollar. Whole cents as `$12.34`; what is smaller than a cent keeps its first two
 * digits that are not zero, since calls cost so little: `$0.00042`.
 */
export function usd(nanoUsd: number): string {
  const dollars = nanoUsd / NANO;
  const size = Math.abs(dollars);
  if (size === 0 || size >= 0.01) return format(dollars, 2);
  return format(dollars, Math.min(9, 1 - Math.floor(Math.log10(size))));
}

/** A round amount, as on a scale: all of its digits, without zeros at its end, `$0.0005`, `$10`, or with two digits, `$0.10`. */
export function roundUsd(nanoUsd: number): string {
  const dollars = nanoUsd / NANO;
  return format(dollars, Number.isInteger(dollars) ? 0 : 2, 9);
}

function format(dollars: number, digits: number, most = digits): string {
  return new Intl.NumberFormat("en-US", {
    style: "currency",
    currency: "USD",
    minimumFractionDigits: digits,
    maximumFractionDigits: most,
  }).format(dollars);
}
