import { addOpenAiKey } from "./support/calls";
import { expect, joined, look, test } from "./support/test";

test("a refusal, then an own key, is explained rule by rule", async ({ page, owner, browser, world }) => {
  test.slow();
  await page.goto(`/console/w/${owner.workspace}/explain`);
  await page.getByLabel(/^Model or tier/).fill("openai/gpt-5.4-nano");
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
  expect(member.faults).toEqual([]);
  await member.page.context().close();
});
