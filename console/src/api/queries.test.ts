import { expect, it } from "vitest";
import { createQueryClient, meQuery } from "./queries";

it("keeps nothing of somebody else", async () => {
  const client = createQueryClient(() => {});
  const logIn = (id: string) =>
    client.fetchQuery({
      queryKey: meQuery.queryKey,
      staleTime: 0,
      queryFn: async () => ({ user: { id }, workspaces: [] }) as never,
    });
  await logIn("usr_one");
  client.setQueryData(["account", "acc_one"], "theirs");
  await logIn("usr_one");
  expect(client.getQueryData(["account", "acc_one"])).toBe("theirs");
  await logIn("usr_two");
  expect(client.getQueryData(["account", "acc_one"])).toBeUndefined();
  expect(client.getQueryData(meQuery.queryKey)).toMatchObject({ user: { id: "usr_two" } });
  client.clear();
});
