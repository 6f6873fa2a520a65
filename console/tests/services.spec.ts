import type { Page } from "@playwright/test";
import { post } from "./support/people";
import { confirm, expect, joined, look, test } from "./support/test";

async function stored(page: Page, workspace: string, kind: "scripts" | "services") {
  const path = `/api/v1/workspaces/${workspace}/${kind}`;
  const [first] = (await (await page.request.get(path)).json()).data;
  return first && (await (await page.request.get(`${path}/${first.id}`)).json());
}

test("a script and a service are made, changed beside somebody else, read by a member, and removed", async ({
  page,
  owner,
  browser,
  world,
}) => {
  await page.goto(`/console/w/${owner.workspace}/services`);
  await expect(page.getByText("None. Machines start the services as they are.")).toBeVisible();
  await look(page, "services-empty");

  await page.getByRole("button", { name: "New script" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("tools");
  await dialog.getByRole("combobox", { name: "Runs" }).click();
  await page.getByRole("option", { name: /^Once on each machine/ }).click();
  await dialog.getByLabel("Text").fill("#!/bin/sh\nset -eu\necho 'tools are there'\n");
  await look(page, "services-script");
  await dialog.getByRole("button", { name: "Make script" }).click();
  await expect(dialog).toBeHidden();
  const script = page.getByRole("row").filter({ hasText: "tools" });
  await expect(script).toContainText("Once on each machine");
  expect(await stored(page, owner.workspace, "scripts")).toMatchObject({
    name: "tools",
    run_on: "first_boot",
    order: 0,
    content: "#!/bin/sh\nset -eu\necho 'tools are there'\n",
  });

  await page.getByRole("button", { name: "New service" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("web");
  await dialog.getByLabel("Command").fill('sh -c \'echo "$PORT"; sleep 60');
  await dialog.getByRole("button", { name: "Make service" }).click();
  await expect(dialog.getByText("The quote ' is not closed.")).toBeVisible();
  await expect(dialog.getByLabel("Command")).toBeFocused();
  await dialog.getByLabel("Command").fill("sh -c 'echo \"$PORT\"; sleep 60'");
  await dialog.getByRole("button", { name: "Add variable" }).click();
  await dialog.getByLabel("Name of variable 1").fill("LD_PRELOAD");
  await dialog.getByLabel("Value of variable 1").fill("8080");
  await dialog.getByRole("button", { name: "Make service" }).click();
  await expect(dialog.getByRole("alert")).toContainText("decides neither what code runs");
  await dialog.getByLabel("Name of variable 1").fill("PORT");
  await look(page, "services-service");
  await dialog.getByRole("button", { name: "Make service" }).click();
  await expect(dialog).toBeHidden();
  const service = page.getByRole("row").filter({ hasText: "web" });
  await expect(service).toContainText("Starts by itself");
  expect(await stored(page, owner.workspace, "services")).toMatchObject({
    name: "web",
    command: ["sh", "-c", 'echo "$PORT"; sleep 60'],
    env: { PORT: "8080" },
    restart: "on-failure",
    auto_enable: true,
  });
  await look(page, "services");

  // Somebody else changes what is being edited: nothing is lost, and what both changed is said.
  await page.getByRole("button", { name: "Edit the service web" }).click();
  await dialog.getByLabel("Command").fill("sh -c 'exec agent'");
  await dialog.getByRole("combobox", { name: "Started again" }).click();
  await page.getByRole("option", { name: /^Never/ }).click();
  const { id } = await stored(page, owner.workspace, "services");
  const path = `/api/v1/workspaces/${owner.workspace}/services/${id}`;
  const theirs = await page.request.patch(path, { data: { restart: "always", env: { PORT: "9090" } } });
  expect(theirs.ok()).toBe(true);
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toContainText("where both of you changed the same: Started again.");
  await expect(dialog.getByLabel("Value of variable 1")).toHaveValue("9090");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toBeHidden();
  expect(await stored(page, owner.workspace, "services")).toMatchObject({
    command: ["sh", "-c", "exec agent"],
    env: { PORT: "9090" },
    restart: "no",
  });

  // What another admin does shows without a reload.
  await post(page.request, `/api/v1/workspaces/${owner.workspace}/services`, { name: "worker", command: ["true"] });
  await expect(page.getByRole("row").filter({ hasText: "worker" })).toContainText("Off");

  const { page: member } = await joined(page, browser, world.instance.url, owner.workspace, "member");
  await member.goto(`/console/w/${owner.workspace}/services`);
  await expect(member.getByRole("button", { name: /^(New|Edit|Remove)/ })).toHaveCount(0);
  await member.getByRole("button", { name: "Show the script tools" }).click();
  await expect(member.getByRole("dialog")).toContainText("echo 'tools are there'");
  await member.keyboard.press("Escape");
  await member.getByRole("button", { name: "Show the service web" }).click();
  await expect(member.getByRole("dialog")).toContainText("PORT=9090");
  await member.context().close();

  await page.getByRole("button", { name: "Remove the script tools" }).click();
  await confirm(page, "Remove script");
  await expect(script).toBeHidden();
  await page.getByRole("button", { name: "Remove the service web" }).click();
  await confirm(page, "Remove service");
  await expect(service).toBeHidden();
});
