import { defineConfig } from "@playwright/test";

// Debian's Chromium: `playwright install` is never run.
const executablePath = process.env.KEYBEARER_CHROMIUM ?? "/usr/bin/chromium";

export default defineConfig({
  testDir: "tests",
  outputDir: "../target/console-test-results",
  fullyParallel: false,
  workers: 2,
  // Wide, since two browsers, two instances and a build may share two cores; what is shown ends each wait much earlier.
  timeout: 180_000,
  expect: { timeout: 20_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    locale: "en-US",
    timezoneId: "Europe/Berlin",
    viewport: { width: 1440, height: 900 },
    // A trace slows every step down; ask for them with KEYBEARER_TRACE=1 when one test is looked into.
    trace: process.env.KEYBEARER_TRACE ? "retain-on-failure" : "off",
    screenshot: "only-on-failure",
    // Chromium refuses its own sandbox to root.
    launchOptions: { executablePath, args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] },
  },
});
