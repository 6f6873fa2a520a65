import { request } from "@playwright/test";
import { newKey } from "./support/keys";
import { logIn, PASSWORD, post } from "./support/people";
import { confirm, expect, look, test } from "./support/test";

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
  await confirm(page, "Switch off");
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

test("a provider's page shows its models with their prices, and an admin sets one with a bracket and removes it", async ({
  page,
  world,
}) => {
  test.slow();
  const prices = async () => (await (await page.request.get("/api/v1/admin/settings")).json()).prices as object[];
  await logIn(page, world.instance.url, world.root.email);
  await page.goto("/console/admin/providers?q=openai");
  await page.getByRole("link", { name: "OpenAI", exact: true }).click();
  await expect(page.getByRole("heading", { name: "OpenAI", exact: true })).toBeVisible();
  const models = page.getByRole("region", { name: "Models" });
  const row = models.getByRole("row").filter({ hasText: /^gpt-5\.4-nano/ });
  await expect(row).toContainText("$", { timeout: 20_000 });
  await look(page, "admin-provider");

  await page.getByRole("button", { name: "Set a price for gpt-5.4-nano", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog.getByLabel("Models")).toHaveValue("gpt-5.4-nano");
  await dialog.getByLabel("Input", { exact: true }).fill("1.25");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByRole("alert")).toContainText("one for output");
  await dialog.getByLabel("Output", { exact: true }).fill("10");
  await dialog.getByRole("button", { name: "Add bracket" }).click();
  const bracket = dialog.getByRole("group", { name: "Long input, bracket 1" });
  await bracket.getByLabel("With more input tokens than").fill("200000");
  await bracket.getByLabel("Input", { exact: true }).fill("2.5");
  await bracket.getByLabel("Output", { exact: true }).fill("15");
  await look(page, "admin-provider-price");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toBeHidden();
  const custom = page.getByRole("region", { name: "Custom prices" });
  await expect(custom.getByRole("row").filter({ hasText: "over 200,000 input tokens" })).toContainText("$2.50");
  await expect(row).toContainText("Custom");
  await expect(row).toContainText("$1.25+");
  await look(page, "admin-provider-custom");
  expect(await prices()).toEqual([
    expect.objectContaining({
      provider: "openai",
      model: "gpt-5.4-nano",
      price: expect.objectContaining({ input: "1.25" }),
    }),
  ]);

  await custom.getByRole("button", { name: "Actions for the price of gpt-5.4-nano" }).click();
  await page.getByRole("menuitem", { name: "Edit" }).click();
  await dialog.getByLabel("Input", { exact: true }).first().fill("1.5");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(custom).toContainText("$1.50");
  await custom.getByRole("button", { name: "Actions for the price of gpt-5.4-nano" }).click();
  await page.getByRole("menuitem", { name: "Remove" }).click();
  await confirm(page, "Remove price");
  await expect(page.getByText("None. List prices count.")).toBeVisible();
  expect(await prices()).toEqual([]);

  await page.getByLabel("Names and patterns, one a line").fill("gpt-5.4-nano\ngpt-5.4-mini");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("The available models of OpenAI are saved")).toBeVisible();
  await page.getByLabel("Find a model").fill("gpt-5.4");
  await expect(models.getByRole("row").filter({ hasText: "Not available" }).first()).toBeVisible();
  await expect(row).not.toContainText("Not available");
  await page.getByRole("button", { name: "Reset the switches of OpenAI", exact: true }).click();
  await expect(models.getByText("Not available")).toHaveCount(0);
  await page.getByRole("link", { name: "Usage" }).last().click();
  await expect(page).toHaveURL(/\/admin\/usage\?.*provider=openai/);
  await page.goto("/console/admin/providers/nobody");
  await expect(page.getByText("There is no such provider")).toBeVisible();
});

test("a key has a base URL of its own where the provider's switch lets it, whatever the instance says", async ({
  page,
  owner,
  world,
}) => {
  const admin = await request.newContext({ baseURL: world.instance.url });
  await post(admin, "/api/v1/sessions", { email: world.root.email, password: PASSWORD });
  const allow = async (instance: boolean | null, openai: boolean | null) => {
    for (const [path, custom_base_urls] of [["settings", instance] as const, ["providers/openai", openai] as const]) {
      const answer = await admin.patch(`/api/v1/admin/${path}`, { data: { custom_base_urls } });
      expect(answer.ok(), await answer.text()).toBe(true);
    }
  };
  const choose = async (name: string) => {
    await page.goto(`/console/w/${owner.workspace}/keys?new`);
    await page.getByRole("combobox", { name: "Provider" }).fill(name);
    await page.getByRole("option", { name: new RegExp(`^${name} sk-`) }).click();
  };
  const field = page.getByLabel("Base URL");

  await allow(true, false);
  await choose("Anthropic");
  await expect(field).toBeVisible();
  await choose("OpenAI");
  await expect(page.getByLabel("Key", { exact: true })).toBeVisible();
  await expect(field).toHaveCount(0);

  await allow(null, true);
  await choose("Anthropic");
  await expect(page.getByLabel("Key", { exact: true })).toBeVisible();
  await expect(field).toHaveCount(0);
  await choose("OpenAI");
  // Another name of the scripted provider.
  const { data } = await (await page.request.get("/v1/providers")).json();
  const { base_url } = data.find(({ id }: { id: string }) => id === "openai");
  const own = String(base_url).replace("127.0.0.1", "localhost");
  await page.getByLabel("Key", { exact: true }).fill(newKey());
  await field.fill("not a place");
  await page.getByRole("button", { name: "Seal and add" }).click();
  await expect(page.getByText("This is no URL.")).toBeVisible();
  await field.fill(own);
  await look(page, "keys-base-url");
  await page.getByRole("button", { name: "Seal and add" }).click();
  await page.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText(`Sent to ${own}`)).toBeVisible();
  await allow(null, null);
  await admin.dispose();
});
