"""Somebody who has never migrated anything: from the first sign-in to a booted, proven and switched machine."""

import time

from pages import Person, check
from world import PASSWORD


def joins_by_invitation(run):
    """An invited person comes in by pasting the invitation"""
    person = Person(run.browser, run.world.url)
    person.open("/en/invitation")
    person.type("invitation", run.world.invite("owner@example.org", "owner"))
    person.type("name", "Olivia Owner")
    person.type("password", PASSWORD)
    person.click("form.card button")
    person.wait_for("the start page", "() => !!document.querySelector('.three')")
    check(person.messages == [], f"console messages: {person.messages}")
    person.close()


def moves_a_machine(run):
    """From the first sign-in to the first byte: 3 screens, 1 paste, 6 clicks and 2 typed fields at most"""
    person = Person(run.browser, run.world.url)
    start = time.monotonic()
    screens = []

    def screen(name):
        screens.append(name)
        run.shot(person, f"newcomer-{len(screens)}-{name}")

    person.sign_in("owner@example.org", PASSWORD)
    screen("home")
    person.click("main form button.primary")
    person.wait_for("the command", "() => !!document.querySelector('#command')")
    screen("add-server")
    person.click("[data-copy=command]")
    command = person.page.locator("#command").inner_text()
    person.pastes += 1
    run.world.paste(command)
    person.wait_for("the machine's arrival on the page", "() => !!document.querySelector('#arrived a')", 120)
    run.shot(person, "newcomer-2-arrived")
    person.click("#arrived a")
    person.wait_for("the checks", "() => !!document.querySelector('.checks')")
    screen("start")
    check("OK" in person.text(), "there are no good checks")
    person.click("form button.primary")
    # Within the page: it tells of the first byte by itself.
    person.wait_for("the first byte", "() => [...document.querySelectorAll('[data-bytes=done]')].some("
                    "one => /[1-9]/.test(one.textContent)) || /In sync/.test(document.body.innerText)", 120)
    seconds = time.monotonic() - start
    run.shot(person, "newcomer-4-copying")
    run.figure("newcomer: screens, clicks, typed fields, pastes, seconds",
               f"{len(screens)}, {person.clicks}, {person.fields}, {person.pastes}, {seconds:.0f}")
    check(len(screens) <= 3 and person.clicks <= 6 and person.fields <= 2 and person.pastes <= 1,
          f"{screens}, {person.clicks} clicks, {person.fields} fields, {person.pastes} pastes")
    person.wait_for("the first point", "() => /In sync/.test(document.querySelector('.head').innerText)", 180)
    check(person.messages == [], f"console messages: {person.messages}")
    run.migration = run.world.migrations()[0]["id"]
    run.newcomer = person


def tests_and_switches(run):
    """A test proves itself with screen and console, then the machine is switched and finished"""
    person = run.newcomer
    here = f"/en/t/default/migrations/{run.migration}"
    person.click(".next a.primary")
    run.shot(person, "test-confirm")
    open_details(person)
    person.page.locator("[name=ports]").fill("7000")
    person.page.locator("[name=success_text]").fill("GODWIT-GUEST-READY")
    person.click("form.stack button.primary")
    person.wait_for("the test", "() => /Look at the test/.test(document.body.innerText)", 60)
    person.click(".next a.primary")
    person.wait_for("the proof", "() => /It started well/.test(document.body.innerText)", 240)
    check("GODWIT-GUEST-READY" in person.page.locator(".console").inner_text(), "the console's end is not shown")
    check(person.page.evaluate("() => document.querySelector('img.screen').naturalWidth") > 0, "no screenshot")
    run.shot(person, "proof")
    run.launch = person.page.url.rsplit("/", 1)[1]
    proves(run, person)
    person.open(here)
    person.click(".next a.primary")
    run.shot(person, "switch-confirm")
    open_details(person)
    person.page.locator("[name=ports]").fill("7000")
    person.page.locator("[name=success_text]").fill("GODWIT-GUEST-READY")
    person.click("form.stack button.primary")
    person.wait_for("the switch", "() => /Switched/.test(document.querySelector('.head').innerText)", 240)
    run.shot(person, "switched")
    check(person.messages == [], f"console messages: {person.messages}")


def proves(run, person):
    """The saved proof is one file that needs nothing else."""
    address = person.page.locator("a[href$='/report']").get_attribute("href")
    answer = person.page.request.get(run.world.url + address)
    check(answer.status == 200 and "attachment" in answer.headers["content-disposition"], f"the report: {answer.status}")
    text = answer.text()
    with open(run.path("proof.html"), "w", encoding="utf-8") as file:
        file.write(text)
    check("data:image/png;base64," in text and "data:application/octet-stream;base64," in text,
          "picture or evidence is not inside")
    paper = run.browser.new_context().new_page()
    paper.goto("file://" + run.path("proof.html"))
    check(paper.evaluate("() => document.querySelector('img.screen').naturalWidth") > 0, "the picture is not inside")
    paper.emulate_media(media="print")
    paper.screenshot(path=run.path("paper.png"), full_page=True)
    paper.context.close()
    check("<script" not in text and "<link" not in text, "the file needs something else")


def finishes(run):
    """Finish says what it does, and ends the migration"""
    person = run.newcomer
    person.open(f"/en/t/default/migrations/{run.migration}/finish")
    check("no way back" in person.text(), "the effect is not stated")
    person.click("form.stack button")
    person.wait_for("the end", "() => /Done/.test(document.querySelector('.head').innerText)", 120)
    check(person.messages == [], f"console messages: {person.messages}")
    person.close()


def open_details(person):
    person.page.locator("main details.card > summary").first.click()


TESTS = [joins_by_invitation, moves_a_machine, tests_and_switches]
LAST = [finishes]
