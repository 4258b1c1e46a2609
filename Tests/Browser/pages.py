"""A browser as a person has it: one context each, every console message noted, axe at hand."""

import os
import time

import axe_playwright_python

AXE = open(os.path.join(os.path.dirname(axe_playwright_python.__file__), "axe.min.js"), encoding="utf-8").read()
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Failure(AssertionError):
    """What a test says when it does not hold."""


def check(holds, text):
    if not holds:
        raise Failure(text)


class Person:
    """Somebody with a browser. Clicks, pastes and typed fields are counted."""

    def __init__(self, browser, base, language="en", theme="light", width=1280, height=900, script=True):
        self.base, self.language = base, language
        self.context = browser.new_context(
            locale=language, color_scheme=theme, viewport={"width": width, "height": height},
            ignore_https_errors=True, java_script_enabled=script)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.messages = []
        self.page.on("console", lambda message: self.messages.append(message.text))
        self.page.on("pageerror", lambda error: self.messages.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.messages.append("a dialog: " + dialog.message), dialog.dismiss()))
        self.clicks = self.fields = self.pastes = 0

    def open(self, path):
        return self.page.goto(self.base + path, wait_until="load")

    def click(self, selector):
        self.clicks += 1
        self.page.locator(selector).first.click()

    def type(self, name, text):
        self.fields += 1
        self.page.locator(f"[name={name}]").fill(text)

    def sign_in(self, email, password):
        self.open(f"/{self.language}/sign-in")
        self.type("email", email)
        self.type("password", password)
        self.click("form.card button")
        self.page.wait_for_load_state()

    def text(self):
        return self.page.locator("body").inner_text()

    def wait_for(self, what, script, seconds=30):
        """Polls by the debugger: `wait_for_function` would need unsafe-eval in the page."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self.page.evaluate("() => document.body !== null") and self.page.evaluate(script):
                    return
            except Exception as error:  # the page is being loaded anew
                if "context" not in str(error) and "navigation" not in str(error):
                    raise
            self.page.wait_for_timeout(150)
        raise Failure(f"{what} did not happen within {seconds} s on {self.page.url}:\n{self.text()[:1500]}")

    def violations(self):
        """What axe finds on the page."""
        result = self.page.evaluate(
            AXE + f"\n;axe.run(document, {{runOnly: {RULES!r}, resultTypes: ['violations']}})")
        return [f"{one['id']}: {[node['html'][:160] for node in one['nodes']][:3]}" for one in result["violations"]]

    def bytes(self):
        """What the page took with everything it needs, uncompressed."""
        return self.page.evaluate(
            "() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
            ".reduce((sum, one) => sum + one.decodedBodySize, 0)")

    def close(self):
        self.context.close()
