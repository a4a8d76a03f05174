"""The explorer in a browser: the same probabilities as Python's, keys, search, dark, narrow."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import train_test_split

from soft_students import SoftDecisionTreeClassifier
from soft_students.explain import save_explorer
from soft_students.students import DecisionTreeStudentClassifier, DecisionTreeStudentRegressor

EVIL = "<script>window.hacked = true</script>"


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32)
    return train_test_split(X, y, test_size=200, random_state=0)


@pytest.fixture(scope="module")
def student(digits):
    X, _, y, _ = digits
    student = SoftDecisionTreeClassifier(4, temperature=2.0, epochs=15, random_state=0)
    return student.fit(X, np.eye(10)[y] * 0.8 + 0.02)


@pytest.fixture(scope="module")
def page(student, digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "digits.html"
    _, X, _, y = digits
    return save_explorer(student, path, X=X, y=y, image_shape=(8, 8))


ROUTES = """
const [rows, ways] = arguments;
return rows.map((i) => {
  const routed = explorer.route(explorer.rowOf(i));
  return [[...routed.paths], ...ways.map((way) => [...routed.ways[way].output])];
});
"""
WAYS = ["expectation", "greatest_path", "greedy"]


def press(browser, *keys):
    from selenium.webdriver.common.keys import Keys

    stage = browser.find_element("id", "tree")
    for key in keys:
        stage.send_keys(getattr(Keys, key, key))


def state(browser, name):
    return browser.execute_script(f"return explorer.state.{name}")


def test_soft_trees_predict_as_in_python(view, page, student, digits):
    X = digits[1]
    rows = np.random.default_rng(0).choice(len(X), size=100, replace=False)
    routed = view(page).execute_script(ROUTES, rows.tolist(), WAYS)
    X = X[rows].astype(np.float64)
    np.testing.assert_allclose(
        [r[0] for r in routed], student.path_probabilities(X), rtol=0, atol=1e-5
    )
    for k, way in enumerate(WAYS, start=1):
        student.prediction = way
        expected = student.predict_proba(X)
        student.prediction = "expectation"
        np.testing.assert_allclose([r[k] for r in routed], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_hard_trees_predict_as_in_python(view, kind, tmp_path):
    X, y = load_wine(return_X_y=True)
    if kind == "classifier":
        student = DecisionTreeStudentClassifier(temperature=3.0, min_samples_leaf=4)
        student.fit(X, np.eye(3)[y] * 0.7 + 0.1)
        expected = student.predict_proba(X)
    else:
        student = DecisionTreeStudentRegressor(max_depth=4).fit(X[:, 1:], X[:, 0])
        X = X[:, 1:]
        expected = student.predict(X)[:, None]
    path = save_explorer(student, tmp_path / "tree.html", X=X)
    routed = view(path).execute_script(ROUTES, list(range(len(X))), ["leaf"])
    np.testing.assert_allclose([r[1] for r in routed], expected, rtol=0, atol=1e-12)


def test_numbers_have_digits_enough(view, tmp_path):
    X = np.arange(200_000, 200_300)[:, None].astype(np.float64)
    student = DecisionTreeStudentClassifier(max_depth=2)
    student.fit(X, np.digitize(X[:, 0], [200_100, 200_101]))
    browser = view(save_explorer(student, tmp_path / "tree.html", X=X[100:102]))
    browser.find_element("id", "next-row").click()
    steps = [step.text for step in browser.find_elements("css selector", "#path li")]
    asked = {" ".join(step.split()[-3:]) for step in steps[:-1]}
    assert asked <= {f"x0 {sign} {end}.5" for sign in "≤>" for end in (200099, 200100)}
    assert "This row has 200100:" in browser.find_element("tag name", "body").text


def test_a_chosen_row_shows_all_three_predictions(view, page, student, digits):
    browser = view(page)
    browser.find_element("id", "next-row").click()
    said = {
        row.get_attribute("data-way"): row.find_element("class name", "predicted").text
        for row in browser.find_elements("css selector", "#ways tr")
    }
    assert list(said) == WAYS
    assert said["expectation"] == str(student.predict(digits[1][:1])[0])
    assert "labelled" in browser.find_element("id", "answer-heading").text
    assert len(browser.find_elements("css selector", "#path li")) == 5


def test_keys_move_and_select(view, page):
    browser = view(page)
    press(browser, "ARROW_DOWN", "ARROW_RIGHT", "ARROW_LEFT")
    assert state(browser, "active") == 1
    press(browser, "ARROW_RIGHT", "ARROW_DOWN")
    active = state(browser, "active")
    assert active in (5, 6)
    assert state(browser, "selected") == 0
    tree = browser.find_element("id", "tree")
    item = browser.find_element("id", tree.get_attribute("aria-activedescendant"))
    assert item.get_attribute("role") == "treeitem"
    assert item.get_attribute("textContent").startswith(f"Gate {active}, level 2")
    press(browser, "ENTER")
    assert state(browser, "selected") == active
    assert browser.find_element("id", "node-heading").text == f"Gate {active}"
    press(browser, "ARROW_UP", "HOME", "ARROW_UP")
    assert state(browser, "active") == 0


def test_zoom_and_fit_by_keys(view, page):
    browser = view(page)
    before = browser.execute_script("return explorer.view.unit")
    press(browser, "+", "+")
    assert browser.execute_script("return explorer.view.unit") > before
    press(browser, "0")
    assert browser.execute_script("return explorer.view.unit") == pytest.approx(before)


def test_a_click_selects_the_node_under_it(view, page):
    from selenium.webdriver import ActionChains

    browser = view(page)
    stage = browser.find_element("id", "tree")
    box = browser.execute_script("return [explorer.boxOf(2), explorer.view]")
    x = box[0]["x"] + box[0]["width"] / 2 - box[1]["width"] / 2
    y = box[0]["y"] + box[0]["height"] / 2 - box[1]["height"] / 2
    ActionChains(browser).move_to_element_with_offset(stage, int(x), int(y)).click().perform()
    assert state(browser, "selected") == 2


def test_search_finds_the_leaves_of_a_class(view, page, student):
    browser = view(page)
    likeliest = student.leaf_probabilities_.argmax(axis=1)
    wanted = int(np.bincount(likeliest).argmax())
    browser.find_element("id", "query").send_keys(f"{wanted}\n")
    assert browser.find_element("id", "found").text == f"1 of {(likeliest == wanted).sum()}"
    assert likeliest[state(browser, "selected") - 15] == wanted
    browser.find_element("id", "query").clear()
    browser.find_element("id", "query").send_keys("#7")
    browser.find_element("css selector", "#search button").click()
    assert state(browser, "selected") == 7


def test_a_drawing_is_routed(view, page):
    from selenium.webdriver import ActionChains

    browser = view(page)
    browser.find_element("id", "tab-pad").click()
    pad = browser.find_element("id", "pad")
    ActionChains(browser).move_to_element_with_offset(pad, 0, -80).click_and_hold().move_by_offset(
        0, 80
    ).move_by_offset(5, 80).release().perform()
    row = browser.execute_script("return [...explorer.state.routed.row]")
    image = np.reshape(row, (8, 8))
    assert image.max() > 0.5
    assert image[:, 3:5].sum() > 0.8 * image.sum()  # an upright stroke in the middle
    assert browser.find_element("id", "ways").is_displayed()


def test_dark_and_light(view, page):
    shades = {}
    for scheme in ("light", "dark"):
        browser = view(page, scheme=scheme)
        color = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        shades[scheme] = sum(map(int, color.removeprefix("rgb(").rstrip(")").split(",")))
    assert shades["dark"] < 150 < 600 < shades["light"]


def test_a_phone_shows_all_of_it_without_scrolling_sideways(view, page):
    browser = view(page, width=360, height=740)
    browser.find_element("id", "next-row").click()
    assert browser.execute_script("return document.documentElement.scrollWidth") == 360
    for name in ("tree", "query", "answer", "node"):
        box = browser.find_element("id", name).rect
        assert box["width"] > 100
        assert box["x"] + box["width"] <= 360


def test_names_show_as_text(view, tmp_path):
    X, y = load_wine(return_X_y=True)
    names = np.array([EVIL, "b&amp;", "c"])
    student = DecisionTreeStudentClassifier(max_depth=2).fit(X, names[y])
    path = save_explorer(
        student,
        tmp_path / "tree.html",
        X=X,
        y=names[y],
        feature_names=[f"{EVIL} {j}" for j in range(13)],
        title=EVIL,
    )
    browser = view(path)
    browser.execute_script("explorer.chooseRow(0)")
    assert browser.execute_script("return window.hacked") is None
    assert browser.find_element("tag name", "h1").text == EVIL
    assert EVIL in browser.find_element("id", "distribution").get_attribute("textContent")
    assert f"{EVIL} " in browser.find_element("id", "node-body").text
