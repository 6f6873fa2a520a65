import type { LedgerPage, Transaction } from "./queries";

export interface Entry extends Transaction {
  /** What there was after it, in billionths of a US dollar; nothing where it is not known. */
  balanceNanoUsd: number | undefined;
}

/** Each entry with the balance after it: the ledger's entries are all that ever changes a balance. */
export function withBalances(pages: Pick<LedgerPage, "data" | "balanceNanoUsd">[]): Entry[] {
  let balance = pages[0]?.balanceNanoUsd;
  return pages
    .flatMap(({ data }) => data)
    .map((entry) => {
      const after = balance;
      if (balance !== undefined) balance -= entry.amount_nano_usd;
      return { ...entry, balanceNanoUsd: after };
    });
}

/** Credits of 0.01 USD. */
export const creditsOf = (nanoUsd: number) => nanoUsd / 10_000_000;
