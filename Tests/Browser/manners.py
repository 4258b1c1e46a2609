"""How the console behaves: second factor, team, hostile names, roles, no script, forged forms."""

import base64
import hashlib
import hmac
import json
import os
import struct
import subprocess
import time
import urllib.parse
import urllib.request

from pages import Person, check
from world import HOSTILE, PASSWORD


def hostile_names(run):
    """Hostile text in every field is shown as text, and nothing of it runs"""
    world = run.world
    world.ask("POST", "/v1/tenants", {"id": "hostile", "name": HOSTILE})
    world.member("mallory@example.org", "owner", HOSTILE, tenant="hostile")
    world.ask("PATCH", f"/v1/tenants/default/migrations/{run.migration}", {"name": HOSTILE})
    owner = Person(run.browser, world.url)
    owner.sign_in("owner@example.org", PASSWORD)
    for path in ("", "/migrations", f"/migrations/{run.migration}", f"/launches/{run.launch}",
                 f"/migrations/{run.migration}/finish", "/migrations?q=" + urllib.parse.quote(HOSTILE)):
        owner.open("/en/t/default" + path)
        check("onerror=alert(1)" in owner.page.content(), f"the name is not on {path}")
        check(owner.page.evaluate("() => !document.querySelector('img[src=x]')"), f"markup on {path}")
    check(owner.messages == [], f"console messages: {owner.messages}")
    table = owner.page.request.get(world.url + "/en/t/default/migrations.csv").text()
    check('<img src=x onerror=alert(1)>""' in table, f"not quoted: {table}")
    world.ask("PATCH", f"/v1/tenants/default/migrations/{run.migration}", {"name": "=1+1"})
    table = owner.page.request.get(world.url + "/en/t/default/migrations.csv").text()
    check('"\'=1+1"' in table, f"a formula: {table}")
    world.ask("PATCH", f"/v1/tenants/default/migrations/{run.migration}", {"name": "web-01"})
    owner.close()
    mallory = Person(run.browser, world.url)
    mallory.sign_in("mallory@example.org", PASSWORD)
    for path in ("", "/settings"):
        mallory.open("/en/t/hostile" + path)
        check(mallory.page.evaluate("() => !document.querySelector('img[src=x]')"), f"markup on {path}")
    check(HOSTILE in mallory.page.locator("#team + ul").inner_text(), "the name is not in the team")
    check(mallory.messages == [], f"console messages: {mallory.messages}")
    answer = mallory.open("/en/t/default/migrations/" + run.migration)
    check(answer.status == 404, f"another tenant's migration answers {answer.status}")
    mallory.close()


def viewer_may_look(run):
    """A viewer sees everything and can do nothing, by the page or behind its back"""
    run.world.member("viewer@example.org", "viewer", "Vera Viewer")
    person = Person(run.browser, run.world.url)
    person.sign_in("viewer@example.org", PASSWORD)
    here = f"/en/t/default/migrations/{run.migration}"
    for path in ("/en/t/default", "/en/t/default/servers", "/en/t/default/migrations", here):
        check(person.open(path).status == 200, f"{path} is not shown")
        forms = person.page.evaluate(
            "() => [...document.querySelectorAll('main form[method=post] button')].map(one => one.textContent)")
        check(forms == [], f"{path} offers {forms}")
    token = person.page.locator("[name=form_token]").first.get_attribute("value")
    for step in ("pause", "sync", "finish", "rollback", "remove"):
        answer = person.page.request.post(
            run.world.url + f"{here}/{step}", form={"form_token": token}, headers={"Sec-Fetch-Site": "same-origin"})
        check(answer.status == 403 and "may not do this" in answer.text(), f"{step}: {answer.status}")
    check(person.messages == [], f"console messages: {person.messages}")
    person.close()


def without_script(run):
    """Without JavaScript people sign in, look, and use forms"""
    person = Person(run.browser, run.world.url, script=False)
    person.sign_in("owner@example.org", PASSWORD)
    person.open(f"/en/t/default/migrations/{run.migration}")
    check("What happened" in person.text(), "the migration is not shown")
    person.page.locator(".tools > form button").click()
    check(person.page.locator("html[data-theme]").count() == 1, "the theme was not chosen")
    person.page.locator("a[hreflang=zh-CN]").click()
    check("\u65f6\u95f4\u7ebf" in person.text(), "the language was not chosen")
    person.close()


def forged_forms(run):
    """A form of another site, of another session or without its token is refused"""
    person = Person(run.browser, run.world.url)
    person.sign_in("owner@example.org", PASSWORD)
    target = run.world.url + f"/en/t/default/migrations/{run.migration}/pause"
    token = person.page.locator("[name=form_token]").first.get_attribute("value")
    cases = [
        ({"form_token": token}, {"Sec-Fetch-Site": "cross-site"}), ({"form_token": token}, {"Sec-Fetch-Site": "same-site"}),
        ({"form_token": token}, {"Origin": "https://evil.example"}), ({}, {"Sec-Fetch-Site": "same-origin"}),
        ({"form_token": token[:-2] + "AA"}, {"Sec-Fetch-Site": "same-origin"}), ({"form_token": token}, {}),
    ]
    for form, headers in cases:
        answer = person.page.request.post(target, form=form, headers=headers)
        check(answer.status == 403 and "form_refused" in answer.text(), f"{form} {headers}: {answer.status}")
    answer = person.page.request.get(run.world.url + "/en/t/default")
    policy = answer.headers["content-security-policy"]
    for part in ("default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "trusted-types 'none'",
                 "frame-ancestors 'none'", "form-action 'self'"):
        check(part in policy, f"{part} is missing in {policy}")
    cookie = next(one for one in person.context.cookies() if one["name"] == "__Host-godwit")
    check(cookie["httpOnly"] and cookie["secure"] and cookie["sameSite"] == "Lax", f"the cookie is {cookie['sameSite']}")
    person.close()


def wrong_password(run):
    """A wrong password and an unknown address look the same, and an open redirect is not taken"""
    texts = set()
    for email in ("owner@example.org", "nobody@example.org"):
        person = Person(run.browser, run.world.url)
        person.sign_in(email, "wrong password 1")
        texts.add(person.page.locator(".note.bad").first.inner_text())
        person.close()
    check(len(texts) == 1 and "do not fit" in next(iter(texts)), f"{texts}")
    person = Person(run.browser, run.world.url)
    person.open("/en/sign-in?next=https://evil.example/")
    person.type("email", "owner@example.org")
    person.type("password", PASSWORD)
    person.click("form.card button")
    person.page.wait_for_load_state()
    check(person.page.url.startswith(run.world.url + "/en/t/"), f"led to {person.page.url}")
    person.close()


def traps(run):
    """What guards pages is really there: axe finds injected faults, markup from script is blocked, inline code does not run"""
    person = Person(run.browser, run.world.url)
    person.open("/en/sign-in")
    blocked = person.page.evaluate(
        "() => { try { document.body.insertAdjacentHTML('beforeend', '<b>x</b>'); return false } catch { return true } }")
    check(blocked, "Trusted Types do not hold")
    ran = person.page.evaluate(
        "() => { try { const one = document.createElement('script'); one.textContent = 'window.ran = 1';"
        " document.body.append(one) } catch {} return !!window.ran }")
    check(not ran, "inline code ran")
    check(person.messages, "a violation is not noticed by the tests")
    person.page.evaluate("() => document.querySelector('main').append(document.createElement('button'))")
    check(any("button-name" in one for one in person.violations()), "axe found nothing")
    person.close()


def second_step(run):
    """A second factor is set up by the settings page, and asked for at the next sign-in"""
    run.world.member("careful@example.org", "admin", "Carl Careful")
    person = Person(run.browser, run.world.url)
    person.sign_in("careful@example.org", PASSWORD)
    person.open("/en/t/default/settings")
    person.click("form[action$='/settings/second-factor'] button")
    secret = person.page.locator(".next code.long").inner_text()
    person.page.locator(".next [name=code]").fill(one_time_code(secret, -1))
    run.shot(person, "second-factor")
    check(person.violations() == [], f"{person.violations()}")
    person.click(".next button.primary")
    person.wait_for("the note", "() => /second step is on/.test(document.body.innerText)")
    person.click("details.menu summary")
    person.click("form[action$='/sign-out'] button")
    person.wait_for("the sign-in page", "() => /You are signed out/.test(document.body.innerText)")
    person.sign_in("careful@example.org", PASSWORD)
    check(person.violations() == [], f"{person.violations()}")
    person.page.locator("[name=code]").fill("000000")
    person.click("form.card button")
    person.wait_for("the refusal", "() => /was not accepted/.test(document.body.innerText)")
    person.page.locator("[name=code]").fill(one_time_code(secret))
    person.click("form.card button")
    person.wait_for("home", "() => !!document.querySelector('nav a[aria-current=page]')")
    person.close()


def one_time_code(secret, later=0):
    """RFC 6238: SHA-1, 30 s, 6 digits."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30 + later), hashlib.sha1).digest()
    place = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[place:place + 4])[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def team_and_tokens(run):
    """An owner invites, changes a role, and makes a token that is shown once; the API takes it"""
    person = Person(run.browser, run.world.url)
    person.sign_in("owner@example.org", PASSWORD)
    person.open("/en/t/default/settings")
    person.page.locator("form[action$='/invitations'] [name=email]").fill("new@example.org")
    person.click("form[action$='/invitations'] button")
    invitation = person.page.locator("#invited").inner_text()
    check(invitation.startswith("gwi_") or len(invitation) > 20, "no invitation is shown")
    check("new@example.org" in person.page.locator("#team ~ ul >> nth=1").inner_text(), "it is not listed")
    person.page.locator("#tokens ~ details summary").click()
    person.page.locator("form[action$='/tokens'] [name=name]").fill("nightly")
    person.click("form[action$='/tokens'] button")
    token = person.page.locator("#made").inner_text()
    check(run.world.ask("GET", "/v1/tenants/default/migrations", token=token)["items"], "the token does not work")
    person.open("/en/t/default/settings")
    check(token not in person.page.content(), "the token is shown again")
    person.page.on("dialog", lambda one: one.accept())
    person.click("form[action$='/revoke'] button")
    person.wait_for("the note", "() => /token was revoked/.test(document.body.innerText)")
    check(person.messages == [], f"console messages: {person.messages}")
    person.open("/en/t/default/activity")
    check("Started a migration" in person.text(), "the migration is not in the activity")
    person.close()


def alone(run):
    """`godwit serve console` runs as a process of its own, started from any folder"""
    sockets = run.world.platform.state + "/run"
    environment = dict(os.environ, GODWIT_CONSOLE_LISTEN="127.0.0.1:0")
    for name in ("identity", "migration", "clouds", "operations"):
        environment[f"GODWIT_CONSOLE_{name.upper()}_URL"] = f"unix:{sockets}/{name}.sock"
    program = os.path.abspath(run.world.platform.program)
    process = subprocess.Popen(
        [program, "serve", "console"], cwd="/", env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        place = "http://" + json.loads(process.stdout.readline())["listening"]
        for path, text in (("/en/sign-in", "Sign in"), ("/zh-CN/sign-in", "\u767b\u5f55"), ("/readyz", '"ready":true')):
            with urllib.request.urlopen(place + path, timeout=20) as answer:
                body = answer.read().decode()
            check(text in body, f"{path}: {body[:200]}")
        with urllib.request.urlopen(place + "/en/errors", timeout=20) as answer:
            check("not_allowed" in answer.read().decode(), "no errors are explained")
    finally:
        process.terminate()
        check(process.wait(40) == 0, f"it ended with {process.returncode}")


TESTS = [second_step, team_and_tokens, alone, hostile_names, viewer_may_look, without_script, forged_forms, wrong_password, traps]
