import { addOpenAiKey } from "./support/calls";
import { expect, joined, look, test } from "./support/test";

test("a refusal, then an own key, is explained rule by rule", async ({ page, owner, browser, world }) => {
  test.slow();
  await page.goto(`/console/w/${owner.workspace}/explain`);
  const model = page.getByRole("combobox", { name: /^Model or tier/ });
  await model.fill("openai/gpt-5.4-nano");
  await model.press("Tab");
  await page.getByRole("checkbox", { name: "The request forbids credits" }).click();
  await page.getByRole("button", { name: "Explain" }).click();
  await expect(page.getByText("The call would be refused")).toBeVisible();
  await look(page, "explain-refused");

  await addOpenAiKey(page, owner.workspace);
  // The address asks the same question again.
  await page.goto(`/console/w/${owner.workspace}/explain?model=openai/gpt-5.4-nano&asked=yes`);
  await expect(page.getByText("Own key primary of OpenAI would serve")).toBeVisible();
  await expect(page.getByRole("list", { name: "Why" })).toContainText("Own key primary of OpenAI may serve.");
  await look(page, "explain");

  const member = await joined(page, browser, world.instance.url, owner.workspace, "member");
  await member.page.goto(`/console/w/${owner.workspace}/explain?model=openai/gpt-5.4-nano&asked=yes`);
  await expect(member.page.getByText("An own key of OpenAI would serve")).toBeVisible();
  await member.page.context().close();
});

test("a model, a tier or any other name is asked about", async ({ page, owner }) => {
  await addOpenAiKey(page, owner.workspace);
  await page.goto(`/console/w/${owner.workspace}/explain`);
  const field = page.getByRole("combobox", { name: /^Model or tier/ });
  await expect(field).toHaveValue("The choice is left open");
  await field.click();
  await expect(page.getByRole("option", { name: /^Level 1/ })).toBeVisible();
  await page.screenshot({ path: "../target/console-screenshots/explain-picker.png", animations: "disabled" });
  await field.fill("5.4-nano");
  await field.press("Enter");
  await expect(field).toHaveValue("openai/gpt-5.4-nano");
  await page.getByRole("button", { name: "Explain" }).click();
  await expect(page.getByText("Own key primary of OpenAI would serve")).toBeVisible();

  // As a request may name it, without its provider, and whether it exists or not.
  await field.fill("nobody-knows-it");
  // By the mouse, while the list is open and hides the rest from readers of the page: a name written out is a choice.
  await page.getByRole("button", { name: "Explain", includeHidden: true }).click();
  await expect(page).toHaveURL(/model=nobody-knows-it/);
  await expect(page.getByText("model_not_found")).toBeVisible();
});
