/** People of an instance, made over the API as a program would. */
import type { APIRequestContext, Page } from "@playwright/test";

export const PASSWORD = "correct horse battery";

export interface Person {
  email: string;
  user: string;
  account: string;
  /** The person's own workspace. */
  workspace: string;
}

let counter = 0;

/** The first user of an instance, its admin. Leaves `request` without a session. */
export async function setUp(request: APIRequestContext, url: string, token: string): Promise<Person> {
  const email = "root@example.com";
  const data = { token, email, password: PASSWORD };
  const done = await post(request, `${url}/api/v1/setup`, data);
  return { email, user: done.user.id, account: done.account_id, workspace: done.workspace_id };
}

/** A new person with a workspace of their own. `request` has the session of an admin of the instance. */
export async function newPerson(request: APIRequestContext, url: string, name = "person"): Promise<Person> {
  counter += 1;
  const email = `${name}-${counter}-${Date.now()}@example.com`;
  const user = await post(request, `${url}/api/v1/users`, { email, password: PASSWORD });
  return { email, user: user.id, account: user.account_id, workspace: "" };
}

/** Logs somebody in, with the API; the page is a logged-in browser from then on. */
export async function logIn(page: Page, url: string, email: string): Promise<void> {
  await post(page.request, `${url}/api/v1/sessions`, { email, password: PASSWORD });
}

/** Calls the API with whatever session the context has. */
export async function post(request: APIRequestContext, url: string, data: object) {
  const answer = await request.post(url, { data });
  if (!answer.ok()) throw new Error(`${url}: ${answer.status()} ${await answer.text()}`);
  return answer.json();
}
