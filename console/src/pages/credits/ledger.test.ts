import { expect, it } from "vitest";
import { withBalances } from "./ledger";
import type { Transaction } from "./queries";

const entry = (id: number, amount_nano_usd: number) => ({ id, amount_nano_usd }) as Transaction;

it("says what there was after each entry, over several pages", () => {
  const pages = [
    { data: [entry(4, -30), entry(3, 100)], balanceNanoUsd: 120 },
    { data: [entry(2, -50), entry(1, 100)], balanceNanoUsd: undefined },
  ];
  expect(withBalances(pages).map(({ id, balanceNanoUsd }) => [id, balanceNanoUsd])).toEqual([
    [4, 120],
    [3, 150],
    [2, 50],
    [1, 100],
  ]);
});

it("says nothing where the balance is not known", () => {
  const [only] = withBalances([{ data: [entry(1, 5)], balanceNanoUsd: undefined }]);
  expect(only?.balanceNanoUsd).toBeUndefined();
});
