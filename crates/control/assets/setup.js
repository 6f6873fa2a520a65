"use strict";

const byId = (id) => document.getElementById(id);
const token = new URLSearchParams(location.hash.slice(1)).get("token");
// The credential leaves the address bar and the history at once.
history.replaceState(null, "", location.pathname);

function say(text, bad) {
  byId("message").textContent = text;
  byId("message").className = bad ? "bad" : "";
}

function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : begun + ".";
}

function show(done) {
  const origin = location.origin;
  byId("form").remove();
  byId("key").textContent = done.api_key.key;
  byId("workspace").textContent = done.workspace_id;
  byId("account").textContent = done.account_id;
  byId("export").textContent = `export KEYBEARER_URL=${origin}\nexport KEYBEARER_WORKSPACE=${done.workspace_id}\nexport KEYBEARER_API_KEY=${done.api_key.key}`;
  byId("bring").textContent = "keybearer keys add openai";
  byId("call").textContent =
    `curl ${origin}/v1/chat/completions \\\n` +
    `  -H "Authorization: Bearer $KEYBEARER_API_KEY" \\\n` +
    `  -H "Content-Type: application/json" \\\n` +
    `  -d '{"model":"openai/gpt-5.4-nano","messages":[{"role":"user","content":"Hello"}]}'`;
  // Browsers offer the clipboard on secure origins only.
  byId("copy").hidden = !navigator.clipboard;
  byId("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(done.api_key.key);
    byId("copy").textContent = "Copied";
  });
  byId("done").hidden = false;
  say("Done. You are logged in as " + done.user.email + ".");
  byId("done").scrollIntoView();
}

async function submit(event) {
  event.preventDefault();
  const fields = event.target.elements;
  if (fields.password.value !== fields.again.value) {
    say("The two passwords differ.", true);
    fields.again.focus();
    return;
  }
  const button = event.target.querySelector("button");
  button.disabled = true;
  say("One moment.");
  try {
    const response = await fetch("/api/v1/setup", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, email: fields.email.value, password: fields.password.value }),
    });
    const answer = await response.json();
    if (response.ok) {
      show(answer);
    } else {
      say([answer.detail, answer.hint].filter(Boolean).map(sentence).join(" "), true);
    }
  } catch {
    say("The server did not answer. Is it still running?", true);
  } finally {
    button.disabled = false;
  }
}

async function begin() {
  const status = await (await fetch("/api/v1/setup")).json();
  if (!status.needed) {
    say("This instance is set up already.");
  } else if (!token) {
    say("Open the link that the server printed at its start; it ends with #token=...", true);
  } else {
    byId("form").addEventListener("submit", submit);
    byId("form").hidden = false;
    byId("email").focus();
  }
}

begin().catch(() => say("The server did not answer. Is it still running?", true));
