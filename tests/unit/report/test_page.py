"""The page of a comparison: its figures are those of the results, and every name is text."""

import base64
import copy
import io
import json
import re
import shutil
import struct
import zlib
from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from soft_students import XGBoostStudentClassifier, as_teacher
from soft_students.comparison import compare_students
from soft_students.datasets import Dataset, load_dataset
from soft_students.evaluation import METRICS
from soft_students.report import page as page_module
from soft_students.report import report_page, write_report
from soft_students.report.wording import against_teacher, choice, missed, sureness, tiles

TITLES = {metric.title: name for name, metric in METRICS.items()}
TAGS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "section", "article", "p",
    "h1", "h2", "h3", "h4", "span", "div", "ul", "li", "a", "table", "caption", "thead", "tbody",
    "tr", "th", "td", "small", "figure", "figcaption", "strong", "b", "dl", "dt", "dd", "pre",
    "code", "img", "svg", "g", "rect", "line", "path", "circle", "text",
}  # fmt: skip
INLINE = {"a", "b", "code", "span", "strong"}
PNG = "data:image/png;base64,"
VOID = {"meta", "img"}


class Page(HTMLParser):
    """What a page holds: ``elements`` (tag, attributes, text) in turn, and tables of cells."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.tables, self.said = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []
        self.text = " ".join("".join(self.said).split())

    def handle_starttag(self, tag, attrs):
        made = [tag, dict(attrs), ""]
        self.elements.append(made)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append(["", ""])
        if tag not in VOID:
            self.open.append(made)

    def handle_startendtag(self, tag, attrs):
        self.elements.append([tag, dict(attrs), ""])

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag
        if tag not in INLINE:
            self.said.append(" ")

    def handle_data(self, data):
        inside = [each[0] for each in self.open]
        for each in self.open:
            if each[0] not in ("html", "head", "body", "main", "section"):
                each[2] += data
        if not {"title", "style"} & set(inside):
            self.said.append(data)
        if {"td", "th"} & set(inside):
            self.tables[-1][-1][-1]["small" in inside or "span" in inside] += data

    def table(self, heading):
        """Return the first table whose first heading it is: cells by line and column."""
        (found, *_) = [each for each in self.tables if each[0][0][0] == heading]
        columns = [cell[0] for cell in found[0][1:]]
        return {line[0][0].strip(): dict(zip(columns, line[1:], strict=True)) for line in found[1:]}

    def classed(self, name):
        return [each for each in self.elements if name in each[1].get("class", "").split()]

    def svg(self, drawing):
        """Return the elements of one drawing."""
        starts = [k for k, each in enumerate(self.elements) if each[0] == "svg"]
        ends = [*starts[1:], len(self.elements)]
        return self.elements[starts[drawing] : ends[drawing]]


@pytest.fixture(scope="module")
def pages(digits, evil, values):
    """Return pages by name."""
    folders = {"digits": digits[1], "evil": evil[1], "values": values[1]}
    return {name: Page(report_page(folder)) for name, folder in folders.items()}


@pytest.fixture
def copied(digits, tmp_path):
    """Return a folder of digits to spoil."""
    return shutil.copytree(digits[1], tmp_path / "copied")


@pytest.fixture
def results(digits):
    return copy.deepcopy(digits[0].results)


def assert_shown(text, value):
    """Check that a text is the value, to its printed digits."""
    plain = text.replace(",", "").removesuffix("%")
    exponent = int(plain.partition("e")[2] or 0)
    decimals = len(plain.partition("e")[0].partition(".")[2]) - exponent
    scale = 100 if text.endswith("%") else 1
    assert float(plain) == pytest.approx(value * scale, abs=0.500001 * 10.0**-decimals)


def metric_of(heading):
    return TITLES[re.split("\N{NO-BREAK SPACE}[↑↓]", heading)[0]]


@pytest.mark.parametrize("name", ["digits", "evil", "values"])
def test_tables_hold_the_figures_of_the_results(request, pages, name):
    results = request.getfixturevalue(name)[0].results
    models = {f"teacher: {results['teacher']['name']}": results["teacher"], **results["students"]}
    models = {model: of for model, of in models.items() if of.get("status") != "failed"}
    figures = pages[name].table("metric")
    assert {metric_of(line) for line in figures} == {
        metric for of in models.values() for metric in (*of["test"], *of["cost"])
    }
    for heading, line in figures.items():
        metric = metric_of(heading)
        assert (heading[-1] == "↑") == (METRICS[metric].direction == "higher")
        assert set(line) == set(models)
        for model, (shown, interval) in line.items():
            found = models[model]["test"].get(metric) or models[model]["cost"].get(metric)
            if found is None or found["value"] is None:
                assert shown == "–"
                continue
            assert_shown(shown, found["value"])
            if interval:
                low, high = interval.split(" to\N{NO-BREAK SPACE}")
                assert_shown(low, found["low"])
                assert_shown(high, found["high"])
            else:
                assert found["low"] == found["high"]  # of a count both are unknown
    table = pages[name].table("model")
    assert set(table) == set(models)
    for model, line in table.items():
        for heading, (shown, _) in line.items():
            if heading not in ("trained in", "Pareto"):
                (same,) = {figures[key][model][0] for key in figures if key == heading}
                assert shown == same


@pytest.mark.parametrize("name", ["digits", "evil", "values"])
def test_the_ranking_is_that_of_the_results(request, pages, name):
    results = request.getfixturevalue(name)[0].results
    ranking = results["ranking"]
    table = pages[name].table("student")
    assert list(table) == ranking["order"]
    for student, line in table.items():
        assert_shown(line["score"][0], ranking["scores"][student])
        assert_shown(
            line["wins with random weights"][0], ranking["sensitivity"]["win_shares"][student]
        )
        weighed = {h: cell for h, cell in line.items() if "×" in h}
        assert [metric_of(heading) for heading in weighed] == list(ranking["weights"])
        for (heading, cell), (criterion, weight) in zip(
            weighed.items(), ranking["weights"].items(), strict=True
        ):
            assert_shown(heading.split()[-1], weight)
            of = results["students"][student]
            found = of["validation"].get(criterion) or of["cost"].get(criterion)
            assert_shown(cell[0], found["value"])
            assert_shown(cell[1], ranking["normalized"][student][criterion])
    winner = ranking["winner"]
    assert f"{winner} is the chosen student" in pages[name].text
    lines = [each for each in pages[name].classed("chosen") if each[0] == "tr"]
    assert len(lines) == 2  # of all models, and of the ranking
    assert all(each[2].startswith(f"{winner} chosen") for each in lines)
    for model, line in pages[name].table("model").items():
        expected = "yes" if model in ranking["pareto"] else "no"
        if model in ranking["excluded"]:
            expected = "excluded"
        assert line["Pareto"][0] == ("" if model.startswith("teacher: ") else expected)


@pytest.mark.parametrize("name", ["digits", "values"])
def test_fronts_are_to_scale(request, pages, name):
    """Marks and numbers of each axis lie on one line, the costs' logarithmic."""
    results = request.getfixturevalue(name)[0].results
    quality = "accuracy" if results["task"] == "classification" else "r2"
    models = {"teacher": results["teacher"], **results["students"]}
    for drawing, cost in enumerate(("latency_us", "bytes")):
        parts = pages[name].svg(drawing)
        places = {}
        for at, each in enumerate(parts):
            if "dot" in each[1].get("class", "").split():
                place = each[1].get("cx"), each[1].get("cy")
                if each[0] == "path":  # the teacher's: from its top
                    x, y = each[1]["d"][1:].split("l")[0].split()
                    place = x, float(y) + 7
                told = next(part for part in parts[at:] if part[0] == "title")[2]
                places[told.rpartition(":")[0]] = tuple(map(float, place))
        known = {m for m, of in models.items() if of.get("cost", {}).get(cost, {}).get("value")}
        assert set(places) == known
        ticks = [each for each in parts if each[1].get("class") == "tick"]
        x_ticks = [each for each in ticks if each[1]["text-anchor"] == "middle"]
        y_ticks = [each for each in ticks if each[1]["text-anchor"] == "end"]
        costs = [models[m]["cost"][cost]["value"] for m in places]
        costs += [number(each[2]) for each in x_ticks]
        lefts = [x for x, _ in places.values()] + [float(each[1]["x"]) for each in x_ticks]
        assert_line(np.log(costs), lefts, rising=True)
        qualities = [models[m]["test"][quality]["value"] for m in places]
        qualities += [number(each[2]) for each in y_ticks]
        tops = [y for _, y in places.values()] + [float(each[1]["y"]) - 4 for each in y_ticks]
        assert_line(qualities, tops, rising=False)


def number(text):
    size = 1e6 if text.endswith(" M") else 0.01 if text.endswith("%") else 1
    return float(text.removesuffix(" M").removesuffix("%").replace(",", "")) * size


def assert_line(values, places, rising):
    assert len(places) >= 4
    slope, start = np.polyfit(values, places, 1)
    assert (slope > 0) == rising
    np.testing.assert_allclose(start + slope * np.array(values), places, rtol=0, atol=0.02)


@pytest.mark.parametrize("name", ["digits", "evil"])
def test_reliability_and_confusion_are_of_the_test_rows(request, pages, name):
    results = request.getfixturevalue(name)[0].results
    winner = results["ranking"]["winner"]
    captions = [each[2] for each in pages[name].elements if each[0] == "figcaption"]
    models = {
        winner: results["students"][winner],
        f"teacher ({results['teacher']['name']})": results["teacher"],
    }
    for model, of in models.items():
        assert f"{model}: calibration error {of['test']['ece']['value']:.4f}" in captions
        rows = results["data"]["test"]
        right = round(of["test"]["accuracy"]["value"] * rows)
        assert f"{model}: {right} of {rows} rows correct" in captions


def test_confusions_are_those_of_the_student(digits, pages):
    result, _ = digits
    data = load_dataset("digits")
    predicted = result.students["tree"].predict(data.X_test)
    expected = confusion_matrix(data.y_test, predicted)
    told = re.compile(r"true (\d), predicted (\d): (\d+) rows?")
    titles = [each[2] for each in pages["digits"].svg(4) if each[0] == "title"]
    found = {tuple(map(int, told.fullmatch(title).groups())) for title in titles}
    assert found == {(i, j, expected[i, j]) for i, j in np.ndindex(10, 10)}
    np.fill_diagonal(expected, 0)
    table = next(each for each in pages["digits"].tables if each[0][0][0] == "true")
    assert int(table[1][2][0]) == expected.max()
    for line in table[1:]:
        true, said, ours, _ = (int(cell[0]) for cell in line)
        assert ours == expected[true, said]


def test_pictures_of_disagreements_are_those_rows(digits, pages):
    result, _ = digits
    data = load_dataset("digits")
    predicted = result.students["tree"].predict(data.X_test)
    pictures = [each for each in pages["digits"].elements if each[0] == "img"]
    assert len(pictures) == 12
    shown = [each[2].split() for each in pages["digits"].classed("predictions")]
    for (_, attributes, _), said in zip(pictures, shown, strict=True):
        row, truth = re.fullmatch(r"Test row (\d+), true class (\d)", attributes["alt"]).groups()
        assert int(truth) == data.y_test[int(row)]
        assert f"student{predicted[int(row)]}" in "".join(said)
        pixels = 255 - decoded(attributes["src"]).astype(float)
        np.testing.assert_allclose(
            pixels / 255, data.X_test[int(row)].reshape(8, 8), rtol=0, atol=0.51 / 255
        )
    apart = round((1 - result.results["students"]["tree"]["test"]["agreement"]["value"]) * 450)
    assert f"They predict different classes on {apart} of 450 test rows." in pages["digits"].text


def decoded(uri):
    """Return the grey values of a PNG without filters."""
    held = base64.b64decode(uri.removeprefix(PNG), validate=True)
    assert held[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(held):
        (length,) = struct.unpack(">I", held[at : at + 4])
        kind, content = held[at + 4 : at + 8], held[at + 8 : at + 8 + length]
        (check,) = struct.unpack(">I", held[at + 8 + length : at + 12 + length])
        assert check == zlib.crc32(kind + content)
        chunks[kind] = content
        at += 12 + length
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:]


@pytest.mark.parametrize("name", ["digits", "evil", "values"])
def test_the_page_needs_nothing_and_runs_nothing(request, pages, name):
    html = report_page(request.getfixturevalue(name)[1])
    page = pages[name]
    assert {each[0] for each in page.elements} <= TAGS
    for _, attributes, _ in page.elements:
        assert not any(key.startswith("on") for key in attributes)
        assert attributes.get("src", PNG).startswith(PNG)
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"https?:|url\(|@import|srcset|<script|<link|<base|<iframe", html)
    (policy,) = [
        each[1]["content"]
        for each in page.elements
        if each[1].get("http-equiv") == "Content-Security-Policy"
    ]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_names_are_text(evil, pages):
    html = report_page(evil[1])
    script = "<script>window.hacked = true</script>"
    assert script not in html
    text = pages["evil"].text
    for name in (script, 'b & "c"', "<b>wine</b>", "<u>here", "<i>stump"):
        assert name in text
    assert f"softkd compare '{script}'" in text
    assert "<img src=x onerror=" in text
    assert "\u202e" not in html
    assert "grignolino\\u202e" in text


def test_a_failed_student_is_told_and_not_compared(pages):
    page = pages["digits"]
    assert "1 of 3 students failed and was not compared: bad." in page.text
    assert "RuntimeError: no <b>luck</b>" in page.text
    assert "bad" not in page.table("model")
    assert "bad" not in page.table("student")


def test_limits_say_whom_they_exclude(evil, pages):
    (reason,) = evil[0].results["ranking"]["excluded"]["<i>stump"]
    text = pages["evil"].text
    assert f"Limits: accuracy at least 80.00%. Excluded: <i>stump ({reason})." in text
    assert "excluded by limits" in text
    dots = [each for each in pages["evil"].classed("dot") if each[1]["class"] == "dot excluded"]
    assert len(dots) == 2  # by latency and by bytes
    assert "excluded by limits" not in pages["digits"].text


def test_students_of_an_earlier_run_are_told(compare_digits, copied, pages):
    assert "by an earlier run" not in pages["digits"].text
    compare_digits(copied, ("stump", "tree"))
    text = Page(report_page(copied)).text
    assert text.count("by an earlier run") == 2
    assert "failed" not in text


def test_how_it_was_made(digits, pages):
    results, text = digits[0].results, pages["digits"].text
    for package, version in results["versions"].items():
        assert f"{package} {version}" in text
    assert "5 for the split, the intervals and the sensitivity" in text
    tree = results["students"]["tree"]
    assert tree["sha256"] in text
    assert "max_depth=7" in text
    counts = "1,078 for training, 269 for ranking (20% of the training rows), 450 for testing"
    assert counts in text
    assert "Command" not in text  # it was made in Python
    assert "Command softkd compare" in pages["evil"].text


def test_values_have_no_classes(pages, values):
    page, results = pages["values"], values[0].results
    headings = [each[2] for each in page.elements if each[0] == "h2"]
    assert "Predicted and true values" in headings
    assert not {"Reliability", "Confusion"} & set(headings)
    assert "test rows with the largest difference of values" in page.text
    winner = results["students"][results["ranking"]["winner"]]["test"]
    teacher = results["teacher"]["test"]["r2"]["value"]
    assert f"its R² is {winner['r2']['value']:.4f}; the teacher's is {teacher:.4f}." in page.text


def test_the_same_folder_makes_the_same_page(digits):
    assert report_page(digits[1]) == report_page(str(digits[1]))


def array():
    """Return a file of one array, which is no archive of several."""
    file = io.BytesIO()
    np.save(file, np.eye(2))
    return file.getvalue()


def rewritten(folder, **changed):
    with np.load(folder / "answers.npz") as held:
        np.savez_compressed(folder / "answers.npz", **{**held, **changed})


def test_a_student_that_says_what_the_teacher_says(copied):
    with np.load(copied / "answers.npz") as held:
        taught, proba = held["taught"], held["taught_proba"]
    rewritten(copied, predicted=taught, proba=proba, rows=np.empty(0, int), X=np.empty((0, 64)))
    page = Page(report_page(copied))
    assert "Their predictions are equal on all 450 test rows." in page.text
    assert not [each for each in page.elements if each[0] == "img"]


def test_many_classes_have_the_commonest_errors_alone(digits, monkeypatch):
    monkeypatch.setattr(page_module, "_MOST_CLASSES", 9)
    page = Page(report_page(digits[1]))
    assert not page.classed("cell")
    assert any(each[0][0][0] == "true" for each in page.tables)


def test_missing_values_are_no_unusual_ones(tmp_path):
    X, y = load_wine(return_X_y=True)
    X = X[:, :4].astype(np.float32)
    X[::3, 1] = np.nan
    X[:, 3] = np.nan
    rows = np.random.default_rng(0).permutation(len(X))
    a, b = rows[:120], rows[120:]
    data = Dataset("wine", X[a], y[a], X[b], y[b], np.unique(y), None, None, "")
    model = make_pipeline(
        FunctionTransformer(lambda X: X[:, :3]), HistGradientBoostingClassifier(max_iter=5)
    ).fit(X[a], y[a])
    student = XGBoostStudentClassifier(n_estimators=2, max_depth=2, random_state=0)
    compare_students({"xgboost": student}, as_teacher(model), data, tmp_path, criteria=["accuracy"])
    tables = [each for each in Page(report_page(tmp_path)).tables if each[0][0][0] == "feature"]
    assert tables
    for table in tables:
        assert {line[0][0] for line in table[1:]} <= {"feature 0", "feature 1", "feature 2"}
        assert all(np.isfinite(float(line[1][0])) for line in table[1:])


@pytest.mark.parametrize(
    ("mine", "taught", "words"),
    [
        (10, 25, "it is 2.5 times faster than the teacher."),
        (250, 10, "it is 25 times slower than the teacher."),
        (100, 103, "it is as fast as the teacher."),
        (0, 25, "it is as fast as the teacher."),
    ],
)
def test_costs_in_words(results, mine, taught, words):
    results["students"]["tree"]["cost"]["latency_us"]["value"] = mine
    results["teacher"]["cost"]["latency_us"]["value"] = taught
    assert f"One row takes {mine} µs, with the teacher {taught} µs: {words}" in against_teacher(
        results
    )


def test_unknown_costs_are_left_out(results):
    results["students"]["tree"]["cost"]["bytes"]["value"] = None
    assert [tile.title for tile in tiles(results)] == ["accuracy", "agreement", "time for one row"]
    assert "bytes" not in against_teacher(results)


def test_accuracy_beside_the_teacher(results):
    student, teacher = results["students"]["tree"]["test"], results["teacher"]["test"]
    for ours, words in ((0.9, "5.00 points below the teacher's 95.00%"), (0.95, "95.00%, too")):
        student["accuracy"]["value"], teacher["accuracy"]["value"] = ours, 0.95
        assert tiles(results)[0].against.endswith(words)


def test_what_moves_the_choice(results):
    ranking = results["ranking"]
    found = {"weight": 0.7, "low": 0.321, "high": 0.9999, "winner_below": "stump"}
    ranking["sensitivity"]["ranges"] = {"accuracy": {**found, "winner_above": "stump"}}
    (first, *_) = sureness(results)
    assert first.endswith(
        "stump would win if the weight of accuracy were below 0.32 instead of 0.70."
    )
    ranking["sensitivity"]["ranges"] = {
        "accuracy": {**found, "winner_below": None, "winner_above": None}
    }
    assert sureness(results)[0].endswith("No change of one weight changes the winner.")


def test_mcnemar_in_words(results):
    (test,) = results["mcnemar"]
    assert (test["first"], test["second"]) == ("tree", "stump")
    for (first, second, p), words in {
        (40, 9, 0.001): "it is more accurate than stump.",
        (9, 40, 0.001): "it is less accurate than stump.",
        (40, 9, 0.06): "it does not differ significantly from stump.",
    }.items():
        test.update(only_first=first, only_second=second, pvalue=p)
        (said,) = [each for each in sureness(results) if "McNemar" in each]
        assert said.endswith(f"(p below 0.05, corrected for 1 comparison), {words}")


def test_a_single_student(results):
    results["ranking"]["order"] = ["tree"]
    assert choice(results)[0].startswith("It is the only ranked student")
    assert not any("random weights" in each for each in sureness(results))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda at: (at / "results.json").unlink(), "has no finished comparison"),
        (lambda at: (at / "results.json").write_text("{"), "results.json' is damaged"),
        (lambda at: (at / "results.json").write_bytes(b"\xff\xfe"), "results.json' is damaged"),
        (lambda at: (at / "results.json").write_text("[]"), "has another version"),
        (lambda at: (at / "results.json").write_text('{"schema": 7}'), "Got 7"),
        (lambda at: (at / "results.json").write_text('{"schema": 1}'), "it lacks command, confid"),
        (lambda at: (at / "answers.npz").unlink(), "does not exist. Run softkd compare again"),
        (lambda at: (at / "answers.npz").write_bytes(b""), "answers.npz' is damaged"),
        (lambda at: (at / "answers.npz").write_bytes(array()), "answers.npz' is damaged"),
        (lambda at: np.savez(at / "answers.npz", student=1), "answers.npz' is damaged"),
        (lambda at: rewritten(at, student=np.array({})), "answers.npz' is damaged"),
        (
            lambda at: rewritten(at, classes=np.empty((2**31, 8, 0), "U1")),
            "classes must have the shape",
        ),
        (lambda at: rewritten(at, taught=np.zeros(3, int)), "taught must have the shape"),
        (lambda at: rewritten(at, student=np.array("stump")), "of the student 'stump'"),
        (
            lambda at: rewritten(
                at,
                **dict.fromkeys(("truth", "taught", "predicted"), np.zeros(7, int)),
                **dict.fromkeys(("taught_proba", "proba"), np.full((7, 10), 0.1)),
            ),
            "are of 7 test rows, the results of 450",
        ),
    ],
)
def test_damaged_folders_are_refused(copied, spoil, message):
    spoil(copied)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        report_page(copied)


def test_no_flipped_byte_of_the_answers_is_a_surprise(copied):
    path = copied / "answers.npz"
    whole = path.read_bytes()
    for at in np.random.default_rng(0).integers(len(whole), size=60).tolist():
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            report_page(copied)
        except ValueError as error:
            if "damaged" not in str(error):
                raise


def test_files(digits, tmp_path):
    path = write_report(digits[1], tmp_path / "report.html")
    assert path.read_text(encoding="utf-8") == report_page(digits[1])
    path.write_text("mine")
    with pytest.raises(FileExistsError):
        write_report(digits[1], path, overwrite=False)
    assert path.read_text() == "mine"
    with pytest.raises(ValueError, match=r"must end in .html. Got '.*report.pdf'"):
        write_report(digits[1], tmp_path / "report.pdf")
    with pytest.raises(FileNotFoundError, match="softkd compare --out"):
        write_report(tmp_path, path)
    assert path.read_text() == "mine"
    assert write_report(digits[1], path).stat().st_size > 10_000
    assert json.loads((digits[1] / "results.json").read_text("utf-8")) == digits[0].results


@pytest.mark.parametrize(
    "change",
    [
        lambda results: results.pop("seed"),
        lambda results: results["ranking"].pop("winner"),
        lambda results: results.update(finished=7),
        lambda results: results.update(students=[]),
        lambda results: results["data"].update(test="many"),
    ],
)
def test_results_that_somebody_changed_are_refused(copied, results, change):
    change(results)
    (copied / "results.json").write_text(json.dumps(results))
    with pytest.raises(ValueError, match="Compare again"):
        report_page(copied)


def test_results_nested_too_deeply_are_refused(copied):
    (copied / "results.json").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="is damaged"):
        report_page(copied)


def test_answers_that_unpack_to_far_more_than_their_size_are_refused(copied):
    rewritten(copied, X=np.zeros(10**7))
    with pytest.raises(ValueError, match="unpacks from"):
        report_page(copied)


def test_a_page_without_a_student_within_the_limits_shows_by_how_much_each_misses(
    tmp_path, compare_digits
):
    limits = {"accuracy": 0.999, "bytes": 2_000}
    with pytest.raises(ValueError, match="All 2 students are excluded"):
        compare_digits(tmp_path, names=("stump", "tree"), constraints=limits)
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    page = Page(report_page(tmp_path))
    assert "no student meets the limits" in page.text
    assert "The test rows were not used." in page.text
    headings = [text for tag, _, text in page.elements if tag == "h3"]
    assert sorted(headings) == ["stump", "tree"]
    accuracies = {}
    for name, of in results["students"].items():
        accuracies[name] = of["validation"]["accuracy"]["value"]
        size = of["cost"]["bytes"]["value"]
        points = float(
            re.search(rf"accuracy {accuracies[name]:.2%}, ([\d.]+) points", page.text)[1]
        )
        assert points == pytest.approx(100 * (0.999 - accuracies[name]), rel=1e-2)
        if size > 2_000:
            assert (
                f"size {size:,} bytes, {size - 2_000} bytes above the limit of 2,000" in page.text
            )
    path = write_report(tmp_path, tmp_path / "report.html")
    assert path.read_text("utf-8") == report_page(tmp_path)


def test_the_nearest_student_comes_first():
    limits = {"accuracy": 0.9, "latency_us": 100}
    students = {
        "far": {"accuracy": 0.5, "latency_us": 50},
        "odd": {"accuracy": None, "latency_us": 50},
        "near": {"accuracy": 0.89, "latency_us": 110},
    }
    results = {
        "students": {
            name: {
                "validation": {"accuracy": {"value": of["accuracy"]}},
                "cost": {"latency_us": {"value": of["latency_us"]}},
            }
            for name, of in students.items()
        },
        "ranking": {
            "constraints": limits,
            "excluded": {
                "far": ["accuracy 0.5 is below 0.9"],
                "odd": ["its accuracy is unknown"],
                "near": ["accuracy 0.89 is below 0.9", "latency_us 110 is above 100"],
            },
            "misses": {"far": {"accuracy": 0.4}, "near": {"accuracy": 0.01, "latency_us": 10}},
        },
    }
    assert missed(results) == [
        (
            "near",
            [
                "accuracy 89.00%, 1 points below the limit of 90.00%",
                "time for one row 110 µs, 10 µs above the limit of 100 µs (1.1 times)",
            ],
        ),
        ("far", ["accuracy 50.00%, 40 points below the limit of 90.00%"]),
        ("odd", ["its accuracy is unknown"]),
    ]
