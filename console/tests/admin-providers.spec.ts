import { logIn } from "./support/people";
import { expect, look, test } from "./support/test";

test("an admin switches own keys for a provider off and on, and resets its switches", async ({
  page,
  owner: _,
  world,
}) => {
  const takes = async () => {
    const answer = await page.request.get("/v1/providers");
    const { data } = await answer.json();
    return data.find(({ id }: { id: string }) => id === "openai")?.byok;
  };
  expect(await takes()).toBe(true);
  await logIn(page, world.instance.url, world.root.email);
  await page.goto("/console/admin/providers?q=openai");
  const own = page.getByRole("switch", { name: "Own keys for OpenAI", exact: true });
  await expect(own).toBeChecked();
  await own.click();
  await expect(page.getByRole("alertdialog")).toContainText("own keys for it rest");
  await look(page, "admin-providers-off");
  await page.getByRole("alertdialog").getByRole("button", { name: "Switch off" }).click();
  await expect(own).not.toBeChecked();
  expect(await takes()).toBe(false);
  await own.click();
  await expect(own).toBeChecked();
  expect(await takes()).toBe(true);
  await page.getByRole("combobox", { name: "Base URLs of own keys for OpenAI", exact: true }).click();
  await page.getByRole("option", { name: "Not allowed" }).click();
  await expect(page.getByText("Own switches")).toBeVisible();
  await look(page, "admin-providers");
  await page.getByRole("button", { name: "Reset the switches of OpenAI", exact: true }).click();
  await expect(page.getByText("Own switches")).toBeHidden();
  await page.getByLabel("Find a provider").fill("nothing is called so");
  await expect(page.getByText("No provider is called like that")).toBeVisible();
});
