import { post } from "./support/people";
import { expect, look, test } from "./support/test";

test("a program that logs in by a code is approved, and another refused", async ({ page, owner, request, world }) => {
  const { url } = world.instance;
  const begin = () => post(request, `${url}/api/v1/device-logins`, { client: "keybearer on <b>laptop</b>" });
  const take = (code: string) => request.post(`${url}/api/v1/device-logins/session`, { data: { device_code: code } });
  const asked = await begin();
  await page.goto(`/console/device?code=${asked.user_code}`);
  await expect(page.getByText("keybearer on <b>laptop</b>")).toBeVisible();
  await expect(page.getByText(`It will act as ${owner.email}`)).toBeVisible();
  await look(page, "device");
  await page.getByRole("button", { name: "Approve" }).click();
  await expect(page.getByText(/^Approved\./)).toBeVisible();
  const taken = await take(asked.device_code);
  expect(taken.status()).toBe(201);
  expect((await taken.json()).email).toBe(owner.email);

  const other = await begin();
  await page.goto("/console/device");
  await page.getByLabel("Code").fill(other.user_code.toLowerCase());
  await page.getByRole("button", { name: "Go on" }).click();
  await page.getByRole("button", { name: "Refuse" }).click();
  await expect(page.getByText(/^Refused\./)).toBeVisible();
  expect((await take(other.device_code)).ok()).toBe(false);

  await page.goto("/console/device?code=BBBB-BBBB");
  await expect(page.getByRole("alert")).toContainText("unknown_user_code");
});
