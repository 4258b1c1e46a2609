"""Every page, in both languages, light and dark: axe finds nothing, the console is silent, nothing scrolls sideways."""

from pages import Person, check
from world import PASSWORD

STRANGER = ["sign-in", "invitation", "errors"]
MEMBER = ["", "/servers", "/start?source={source}", "/migrations", "/migrations/{migration}", "/migrations/{migration}/test",
          "/migrations/{migration}/switch", "/migrations/{migration}/rollback", "/migrations/{migration}/finish",
          "/migrations/{migration}/remove", "/launches/{launch}", "/activity", "/settings"]
# Bytes that a page may take with everything it needs.
MOST = 64_000


def every_page(run):
    """Every page in both languages, light and dark, has no violation by axe and no console message"""
    source = run.world.ask("GET", "/v1/tenants/default/sources")["items"][0]["id"]
    run.world.ask("POST", "/v1/users", {
        "email": "root@example.org", "name": "Rita Root", "password": PASSWORD, "platformRole": "platform_admin"})
    places = {"source": source, "migration": run.migration, "launch": run.launch}
    faults, sizes, times = [], {}, []
    for language in ("en", "zh-CN"):
        for theme in ("light", "dark"):
            stranger = Person(run.browser, run.world.url, language, theme)
            for page in STRANGER:
                look(run, stranger, page, f"/{language}/{page}", faults, sizes, times)
            stranger.close()
            member = Person(run.browser, run.world.url, language, theme)
            member.sign_in("owner@example.org", PASSWORD)
            for page in MEMBER:
                look(run, member, page or "home", f"/{language}/t/default{page.format(**places)}", faults, sizes, times)
            member.close()
            root = Person(run.browser, run.world.url, language, theme)
            root.sign_in("root@example.org", PASSWORD)
            look(run, root, "operator", f"/{language}/operator", faults, sizes, times)
            root.close()
    run.figure("pages x languages x themes", f"{len(STRANGER + MEMBER) + 1} x 2 x 2 = {len(times)}")
    run.figure("axe violations and console messages", len(faults))
    run.figure("bytes of a page with everything (most, page)", max((size, page) for page, size in sizes.items()))
    times.sort()
    run.figure("server milliseconds of a page (median, most)", f"{times[len(times) // 2]:.0f}, {times[-1]:.0f}")
    check(not faults, "\n".join(faults))
    large = {page: size for page, size in sizes.items() if size > MOST}
    check(not large, f"too large: {large}")


def look(run, person, page, path, faults, sizes, times):
    answer = person.open(path)
    name = page.strip("/").split("?")[0].replace("/{migration}", "").replace("/{launch}", "").replace("/", "-")
    name += "-one" if page.endswith("}") and "source" not in page else ""
    here = f"{name}-{person.language}-{person.page.evaluate('() => matchMedia(`(prefers-color-scheme: dark)`).matches')}"
    if answer.status != 200:
        faults.append(f"{path}: status {answer.status}")
    faults.extend(f"{path} ({here}): {one}" for one in person.violations())
    faults.extend(f"{path} ({here}): console: {one}" for one in person.messages)
    person.messages.clear()
    if person.page.evaluate("() => document.documentElement.scrollWidth > innerWidth"):
        faults.append(f"{path}: scrolls sideways")
    if person.page.evaluate("() => document.documentElement.lang") != person.language:
        faults.append(f"{path}: is in another language")
    sizes[name] = max(sizes.get(name, 0), person.bytes())
    times.append(person.page.evaluate(
        "() => { const one = performance.getEntriesByType('navigation')[0]; return one.responseStart - one.requestStart }"))
    theme = "dark" if here.endswith("True") else "light"
    run.shot(person, f"{name}-{person.language}-{theme}")


def narrow(run):
    """Nothing scrolls sideways at 320 pixels, in either language"""
    for language in ("en", "zh-CN"):
        person = Person(run.browser, run.world.url, language, width=320, height=800)
        person.sign_in("owner@example.org", PASSWORD)
        for page in MEMBER:
            path = page.format(source="src-x", migration=run.migration, launch=run.launch)
            person.open(f"/{language}/t/default{path}")
            check(person.page.evaluate("() => document.documentElement.scrollWidth") <= 320, f"{path} scrolls sideways")
            if page in ("", "/migrations/{migration}"):
                run.shot(person, f"narrow-{'home' if not page else 'migration'}-{language}")
        person.close()


TESTS = [every_page, narrow]
