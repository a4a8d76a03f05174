"""The page in a browser: quiet, within a phone's width, dark and light, on paper, names as text."""

import base64

import pytest

from soft_students.report import write_report

WIDTH = "return document.documentElement.scrollWidth"


@pytest.fixture(scope="module")
def paths(digits, evil, values, tmp_path_factory):
    """Return pages by name."""
    folder = tmp_path_factory.mktemp("pages")
    made = {"digits": digits[1], "evil": evil[1], "values": values[1]}
    return {name: write_report(of, folder / f"{name}.html") for name, of in made.items()}


def shade(browser, selector, attribute):
    """Return the brightness of a colour, 0 to 765."""
    color = browser.execute_script(
        f"return getComputedStyle(document.querySelector('{selector}')).{attribute}"
    )
    return sum(map(int, color.removeprefix("rgb(").rstrip(")").split(",")))


@pytest.mark.parametrize("name", ["digits", "evil", "values"])
@pytest.mark.parametrize("width", [390, 320, 1280])
def test_nothing_is_wider_than_the_screen(view, paths, name, width):
    browser = view(paths[name], width=width)
    assert browser.execute_script(WIDTH) <= width
    outside = browser.execute_script(
        """
        const limit = document.documentElement.clientWidth;
        return [...document.querySelectorAll("body *")].filter((each) => {
          if (each.closest(".scroll") && !each.matches(".scroll")) return false;
          const box = each.getBoundingClientRect();
          return box.width && (box.right > limit + 1 || box.left < -1);
        }).map((each) => each.outerHTML.slice(0, 90));
        """
    )
    assert outside == []


def test_wide_tables_scroll_by_themselves(view, paths):
    browser = view(paths["digits"], width=390)
    inner, outer = browser.execute_script(
        """
        const table = document.querySelector("#models ~ .scroll");
        table.scrollLeft = 10000;
        const name = table.querySelector("tbody th").getBoundingClientRect();
        return [table.scrollLeft, name.left - table.getBoundingClientRect().left];
        """
    )
    assert inner > 0
    assert outer == pytest.approx(0, abs=1)  # the names stay in view


@pytest.mark.parametrize("name", ["digits", "evil"])
def test_dark_and_light(view, paths, name):
    paper, ink = {}, {}
    for scheme in ("light", "dark"):
        browser = view(paths[name], scheme=scheme)
        paper[scheme] = shade(browser, "body", "backgroundColor")
        ink[scheme] = shade(browser, "h1", "color"), shade(browser, "svg .name", "fill")
    assert paper["dark"] < 150 < 600 < paper["light"]
    assert max(ink["light"]) < 400 < min(ink["dark"])


def test_names_show_as_text(view, paths):
    browser = view(paths["evil"])
    assert browser.execute_script("return window.hacked") is None
    assert browser.find_element("tag name", "h1").text.startswith("<b>wine</b>: ")
    shown = browser.find_element("tag name", "body").text
    assert "<script>window.hacked = true</script>" in shown
    assert "<i>stump" in shown
    assert browser.execute_script("return document.scripts.length") == 0


def test_pictures_and_drawings_are_there(view, paths):
    browser = view(paths["digits"])
    broken = "return [...document.images].filter((image) => !image.naturalWidth).length"
    assert browser.execute_script("return document.images.length") == 12
    assert browser.execute_script(broken) == 0
    flat = """
    return [...document.querySelectorAll("svg")].filter(
      (svg) => svg.getBoundingClientRect().height < 100
    ).length
    """
    assert browser.execute_script(flat) == 0
    assert browser.execute_script("return document.querySelectorAll('svg').length") == 6


def test_the_link_to_failures_arrives(view, paths):
    browser = view(paths["digits"])
    browser.find_element("css selector", "a[href='#failed']").click()
    box = browser.execute_script(
        "return document.querySelector('#failed').getBoundingClientRect().top"
    )
    assert -1 < box < 800


def test_it_prints(view, paths):
    browser = view(paths["digits"], scheme="dark")
    settings = {"preferCSSPageSize": True, "printBackground": False}
    printed = browser.execute_cdp_cmd("Page.printToPDF", settings)
    assert base64.b64decode(printed["data"]).startswith(b"%PDF-")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert shade(browser, "h1", "color") < 200  # dark ink on paper, whatever the screen
    assert (
        browser.execute_script(
            "return getComputedStyle(document.querySelector('.scroll')).overflowX"
        )
        == "visible"
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
