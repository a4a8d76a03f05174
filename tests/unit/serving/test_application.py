"""What the service answers, and what it refuses."""

import asyncio
import json
import logging
import threading

import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from soft_students import (
    DecisionTreeStudentClassifier,
    LogisticStudentClassifier,
    SoftDecisionTreeClassifier,
    SoftDecisionTreeRegressor,
    XGBoostStudentClassifier,
)
from soft_students.explain import explain
from soft_students.serving import LOOPBACK_HOSTS, Limits, create_app
from soft_students.students import get_student

FLOATS = "application/octet-stream"
TOKEN = "a-token-of-more-than-16-characters"


@pytest.fixture(scope="module")
def client(tree):
    limits = Limits(max_body_bytes=4_000, max_rows=10, max_queued_rows=10)
    with TestClient(create_app(tree, limits=limits)) as client:
        yield client


def ask(student, body, path="/predict", **settings):
    with TestClient(create_app(student, **settings)) as client:
        answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_answers_are_those_of_python_to_the_bit(client, tree, iris):
    X = iris[0][::20]
    told = client.post("/predict", json={"rows": X.tolist()}).json()
    assert told["predictions"] == tree.predict(X).tolist()
    assert told["classes"] == ["setosa", "versicolor", "virginica"]
    np.testing.assert_array_equal(told["probabilities"], tree.predict_proba(X))


def test_floats_are_rows_too(client, iris):
    X = iris[0][::20]
    as_json = client.post("/predict", json={"rows": X.tolist()})
    as_floats = client.post(
        "/predict", content=X.tobytes(), headers={"Content-Type": "application/octet-stream"}
    )
    assert as_floats.json() == as_json.json()


def test_a_tree_of_float64_is_asked_in_float64(iris):
    X = iris[0].astype(np.float64) + 1e-9
    tree = SoftDecisionTreeClassifier(depth=2, epochs=2, random_state=0).fit(X, iris[1])
    told = ask(tree, {"rows": X[:5].tolist()})
    np.testing.assert_array_equal(told["probabilities"], tree.predict_proba(X[:5]))


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_regressor_has_values_alone(iris, n_outputs):
    X = iris[0]
    y = X[:, 0] if n_outputs == 1 else X[:, :2]
    tree = SoftDecisionTreeRegressor(depth=2, epochs=2, random_state=0).fit(X, y)
    assert ask(tree, {"rows": X[:3].tolist()}) == {"predictions": tree.predict(X[:3]).tolist()}


def test_missing_values_go_to_students_that_take_them(iris):
    X, y = iris
    X = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    student = XGBoostStudentClassifier(n_estimators=3, random_state=0).fit(X, y)
    rows = [[None if np.isnan(value) else float(value) for value in row] for row in X[:20]]
    told = ask(student, {"rows": rows})
    np.testing.assert_allclose(told["probabilities"], student.predict_proba(X[:20]), atol=1e-7)
    with TestClient(create_app(student)) as client:
        bodies = X[:20].astype(np.float32).tobytes(), np.full(4, np.inf, np.float32).tobytes()
        missing, infinite = (
            client.post("/predict", content=body, headers={"Content-Type": FLOATS})
            for body in bodies
        )
    assert missing.json() == told
    assert infinite.status_code == 422


def test_columns_have_names_where_the_student_knows_them(iris):
    X = pd.DataFrame(iris[0], columns=["a", "b", "c", "d"])
    student = DecisionTreeStudentClassifier(random_state=0).fit(X, iris[1])
    turned = X[["d", "a", "c", "b"]]
    expected = student.predict_proba(X[:9]).tolist()
    for frame in (X, turned):
        body = {"columns": list(frame.columns), "rows": frame[:9].to_numpy().tolist()}
        assert ask(student, body)["probabilities"] == expected
    assert ask(student, {"rows": X[:9].to_numpy().tolist()})["probabilities"] == expected
    with TestClient(create_app(student)) as client:
        for columns in (["a", "b", "c"], ["a", "b", "c", "x"], ["a", "a", "b", "c"]):
            answer = client.post("/predict", json={"columns": columns, "rows": [[1, 2, 3, 4]]})
            assert answer.status_code == 422
            assert "'columns' must name each of the 4 features once" in answer.json()["detail"]


def test_any_fitted_estimator_can_be_served(iris):
    X, y = iris
    student = LogisticRegression(max_iter=500).fit(X, y)
    told = ask(student, {"rows": X[:3].tolist()})
    assert told["predictions"] == student.predict(X[:3]).tolist()
    with TestClient(create_app(student)) as client:
        assert client.post("/explain", json={"rows": X[:1].tolist()}).status_code == 404


def test_explanations_are_those_of_python(client, tree, iris):
    row = iris[0][7]
    told = client.post("/explain", json={"rows": [row.tolist()]})
    assert told.json() == explain(tree, row).to_dict()
    two = client.post("/explain", json={"rows": iris[0][:2].tolist()})
    assert two.status_code == 422
    assert two.json()["detail"] == "/explain takes one row. This request has 2."


@pytest.mark.parametrize("kind", ["hist", "tree", "logistic", "pipeline", "named"])
def test_other_students_explain_themselves_too(iris, kind):
    X, y = iris
    if kind == "pipeline":
        student = make_pipeline(StandardScaler(), LogisticStudentClassifier()).fit(X, y)
    elif kind == "named":
        X = pd.DataFrame(X, columns=["a", "b", "c", "d"])
        student = DecisionTreeStudentClassifier(random_state=0).fit(X, y)
    else:
        student = get_student(kind).classifier(random_state=0).fit(X, y)
    row = X.iloc[[60]] if kind == "named" else X[[60]].astype(np.float64)
    told = ask(student, {"rows": np.asarray(row).tolist()}, "/explain")
    expected = explain(student, row).to_dict()
    assert told == json.loads(json.dumps(expected))
    assert told["prediction"] == student.predict(row)[0]


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"", 400, "not valid JSON"),
        (b"{", 400, "not valid JSON"),
        (b"\xff\xfe", 400, "not valid JSON"),
        (b'{"rows": [[1, 2, 3, NaN]]}', 400, "not valid JSON"),
        (b'{"rows": [[1, 2, 3, Infinity]]}', 400, "not valid JSON"),
        (b"[" * 3_000, 422, "Expected `object`, got `array`"),
        (b'{"rows": ' + b"[" * 3_000, 422, "Expected `float`, got `array`"),
        (b"[[1, 2, 3, 4]]", 422, "Expected `object`, got `array`"),
        (b"{}", 422, "missing required field `rows`"),
        (b'{"rows": []}', 422, "The request has no rows"),
        (b'{"rows": [[]]}', 422, "Row 0 has 0 values"),
        (b'{"rows": [1, 2, 3, 4]}', 422, "Expected `array`, got `int`"),
        (b'{"rows": [[1, 2, 3]]}', 422, "Row 0 has 3 values"),
        (b'{"rows": [[1, 2, 3, 4], [1, 2, 3, 4, 5]]}', 422, "Row 1 has 5 values"),
        (b'{"rows": [[1, 2, 3, "4"]]}', 422, "Expected `float`, got `str` - at `$.rows[0][3]`"),
        (b'{"rows": [[1, 2, 3, true]]}', 422, "Expected `float`, got `bool`"),
        (b'{"rows": [[1, 2, 3, null]]}', 422, "Expected `float`, got `null`"),
        (b'{"rows": [[1, 2, 3, 1e39]]}', 422, "Value 3 of row 0 is NaN, infinite or too large"),
        (b'{"rows": [[1, 2, 3, 1e999]]}', 422, "out of range"),
        (b'{"rows": [[1, 2, 3, 4]], "model": "other"}', 422, "unknown field `model`"),
        (b'{"rows": [[1, 2, 3, 4]], "columns": ["a"]}', 422, "Leave out 'columns'"),
        (b'{"rows": [' + b"[1,2,3,4]," * 10 + b"[1,2,3,4]]}", 413, "at most 10 rows"),
        (b'{"rows": [[1, 2, 3, 4]]}' + b" " * 4_000, 413, "at most 4,000 bytes"),
    ],
)
def test_what_are_no_rows_is_refused_in_one_sentence_and_not_logged(
    client, caplog, body, status, sentence
):
    answer = client.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status, answer.text
    assert sentence in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 300
    assert [record for record in caplog.records if record.name.startswith("soft_students")] == []
    assert client.post("/predict", json={"rows": [[1, 2, 3, 4]]}).status_code == 200


_NUMBERS = st.floats(width=32) | st.integers() | st.none() | st.text(max_size=3) | st.booleans()
_JSON = st.recursive(
    _NUMBERS, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner)
)
_NEARLY_ROWS = st.lists(st.lists(_NUMBERS, min_size=3, max_size=5), max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary()
    | st.builds(lambda value: json.dumps(value).encode(), _JSON)
    | st.builds(lambda rows: json.dumps({"rows": rows}).encode(), _NEARLY_ROWS),
    kind=st.sampled_from(["application/json", FLOATS]),
)
def test_any_body_is_answered_or_refused(client, body, kind):
    answer = client.post("/predict", content=body, headers={"Content-Type": kind})
    assert answer.status_code in {200, 400, 413, 422}
    if answer.status_code == 200:
        assert np.isfinite(answer.json()["probabilities"]).all()
    else:
        assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        (b"", 422, "The request has no rows"),
        (b"abc", 422, "not a multiple of 16"),
        (np.full(4, np.nan, np.float32).tobytes(), 422, "Value 0 of row 0 is NaN"),
        (bytes(16 * 11), 413, "at most 10 rows"),
    ],
)
def test_what_are_no_floats_is_refused(client, body, status, sentence):
    answer = client.post("/predict", content=body, headers={"Content-Type": FLOATS})
    assert answer.status_code == status
    assert sentence in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "Application/JSON"},
        {"CONTENT-TYPE": "application/json ; charset=utf-8 "},
        {"Content-Type": "application/json", "Content-Encoding": "Identity"},
    ],
)
def test_names_of_content_have_no_case(client, headers):
    answer = client.post("/predict", content=b'{"rows": [[1, 2, 3, 4]]}', headers=headers)
    assert answer.status_code == 200, answer.text


def test_who_asks_for_another_protocol_is_told(client):
    headers = {"Content-Type": "application/json", "Connection": "Upgrade", "Upgrade": "h2c"}
    answer = client.post("/predict", content=b'{"rows": [[1, 2, 3, 4]]}', headers=headers)
    assert answer.status_code == 400
    assert "only HTTP/1.1" in answer.json()["detail"]
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_other_content_is_refused(client, headers):
    answer = client.post("/predict", content=b'{"rows": [[1, 2, 3, 4]]}', headers=headers)
    assert answer.status_code == 415
    assert "application/json" in answer.json()["detail"]


def test_a_body_without_length_is_counted_as_it_comes(tree, exchange):
    read = []

    async def receive():
        read.append(1_000)
        return {"type": "http.request", "body": b" " * 1_000, "more_body": True}

    app = create_app(tree, limits=Limits(max_body_bytes=4_000))
    status, _, headers = exchange(app, receive, {"Content-Type": "application/json"})
    assert status == 413
    assert headers[b"connection"] == b"close"
    assert sum(read) == 17_000  # more than is kept, for the client to see the answer


def test_a_slow_body_is_not_waited_for(tree, exchange):
    async def receive():
        await asyncio.sleep(60)

    app = create_app(tree, limits=Limits(read_timeout=0.05))
    status, told, headers = exchange(app, receive, {"Content-Type": "application/json"})
    assert status == 408
    assert told == {"detail": "The body did not arrive within 0.05 seconds."}
    assert headers[b"connection"] == b"close"


def test_a_client_that_leaves_is_no_failure(tree, exchange, caplog):
    async def receive():
        return {"type": "http.disconnect"}

    status, _, _ = exchange(create_app(tree), receive, {"Content-Type": "application/json"})
    assert status == 400
    assert caplog.records == []


class Held(LogisticRegression):
    """Predicts when it is let."""

    go = threading.Event()

    def predict_proba(self, X):
        assert self.go.wait(10)
        return super().predict_proba(X)


def test_concurrent_requests_are_batched_and_each_has_its_own_answer(iris, together):
    X, y = iris
    student = Held(max_iter=500).fit(X, y)
    student.go.clear()

    async def talk(client):
        asked = [
            asyncio.create_task(client.post("/predict", json={"rows": [row.tolist()]})) for row in X
        ]
        await asyncio.sleep(0.5)
        student.go.set()
        answers = await asyncio.gather(*asked)
        return [answer.json() for answer in answers], (await client.get("/metrics")).text

    told, metrics = together(create_app(student), talk)
    expected = student.predict_proba(X.astype(np.float64))
    np.testing.assert_allclose([one["probabilities"][0] for one in told], expected, atol=1e-12)
    assert [one["predictions"][0] for one in told] == student.predict(X).tolist()
    batches = float(metrics.split("softkd_batch_rows_count ")[1].split()[0])
    assert batches < len(X) / 10
    assert f"softkd_batch_rows_sum {len(X)}.0" in metrics


def test_a_full_queue_and_a_long_wait_are_told_to_come_again(iris, together):
    X, y = iris
    student = Held(max_iter=500).fit(X, y)
    student.go.clear()
    limits = Limits(max_rows=2, max_queued_rows=2, answer_timeout=0.5)

    async def talk(client):
        asked = []
        for rows in (X[:1], X[:2], X[:1]):
            body = {"rows": rows.tolist()}
            asked.append(asyncio.create_task(client.post("/predict", json=body)))
            await asyncio.sleep(0.1)
        refused = asked[2].done()
        answers = await asyncio.gather(*asked)
        student.go.set()
        later = await client.post("/predict", json={"rows": X[:1].tolist()})
        return refused, answers, later.status_code

    refused, answers, later = together(create_app(student, limits=limits), talk)
    assert refused  # at once, when the others still wait
    for answer in answers:
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        assert answer.json() == {"detail": "Too many requests are waiting. Try again later."}
    assert later == 200


class Leaky(LogisticRegression):
    """Fails as libraries do, with the values in the text."""

    def predict_proba(self, X):
        raise ValueError(f"cannot cope with {X[0, 0]}")


def test_a_failure_says_nothing_of_the_values(iris, caplog):
    student = Leaky(max_iter=500).fit(*iris)
    with TestClient(create_app(student)) as client, caplog.at_level(logging.DEBUG):
        answer = client.post("/predict", json={"rows": [[1234.5, 2, 3, 4]]})
        metrics = client.get("/metrics").text
    assert answer.status_code == 500
    assert answer.json() == {"detail": "The service failed. See its log."}
    messages = [r.getMessage() for r in caplog.records if r.name == "soft_students.serving"]
    assert len(messages) == 1
    assert messages[0].startswith("POST /predict failed: ValueError in ")
    assert "1234" not in caplog.text
    assert 'softkd_requests_total{path="/predict",status="500"} 1.0' in metrics


def test_a_token_is_asked_of_all_but_health(tree):
    app = create_app(tree, token=TOKEN)
    body = {"rows": [[1, 2, 3, 4]]}
    with TestClient(app) as client:
        assert client.get("/health").json() == {"status": "ok"}
        for path in ("/metrics", "/openapi.json", "/nothing"):
            assert client.get(path).status_code == 401
        for given in (
            None, "", "Bearer", "Bearer ", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "é",
            f"Bearer {TOKEN.upper()}", f"Bearer {TOKEN.title()}", f"bearer {TOKEN.swapcase()}",
            f"Basic {TOKEN}", f"Bearer{TOKEN}", f"Bearer x {TOKEN}", f"Bearer {TOKEN} x",
        ):  # fmt: skip
            headers = {} if given is None else {"Authorization": given.encode("latin-1")}
            answer = client.post("/predict", json=body, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert TOKEN not in answer.text
        right = {"Authorization": f"Bearer {TOKEN}"}
        assert client.post("/predict", json=body, headers=right).status_code == 200
        assert client.get("/metrics", headers=right).status_code == 200


@pytest.mark.parametrize(
    "given", ["bearer {}", "BEARER {}", "bEaReR {}", "Bearer   {}", "Bearer {}  ", "bearer \t{}\t"]
)
def test_the_scheme_of_a_token_has_no_case_and_any_blanks_after_it(tree, given):
    with TestClient(create_app(tree, token=TOKEN)) as client:
        answer = client.get("/metrics", headers={"AUTHORIZATION": given.format(TOKEN)})
    assert answer.status_code == 200


def test_who_asks_before_sending_too_much_sends_nothing(tree, exchange):
    async def receive():
        raise AssertionError("the body is not to be read")

    app = create_app(tree, limits=Limits(max_body_bytes=4_000))
    headers = {"Content-Type": "application/json", "Content-Length": "4001"}
    status, told, answered = exchange(app, receive, {**headers, "Expect": "100-continue"})
    assert (status, answered[b"connection"]) == (413, b"close")
    assert "at most 4,000 bytes" in told["detail"]


def test_who_does_not_ask_before_sending_too_much_is_heard_out(tree, exchange):
    read = []

    async def receive():
        read.append(4_001)
        return {"type": "http.request", "body": b" " * 4_001, "more_body": False}

    app = create_app(tree, limits=Limits(max_body_bytes=4_000))
    headers = {"Content-Type": "application/json", "Content-Length": "4001"}
    assert exchange(app, receive, headers)[0] == 413
    assert read == [4_001]


def test_the_head_of_an_answer_can_be_asked_for(client):
    for path in ("/health", "/metrics"):
        assert client.head(path).status_code == 200
    assert client.head("/predict").status_code == 405


@pytest.mark.parametrize("token", ["", "short", "with a space in the middle", "ü" * 20])
def test_a_token_that_guards_nothing_is_refused(tree, token):
    with pytest.raises(ValueError, match="at least 16 characters"):
        TestClient(create_app(tree, token=token)).get("/health")


def test_other_hosts_are_not_answered(tree):
    with TestClient(create_app(tree, hosts=LOOPBACK_HOSTS)) as client:
        for host in ("localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000"):
            assert client.get("/health", headers={"Host": host}).status_code == 200
        for host in ("attacker.example", "localhost.attacker.example", ""):
            assert client.get("/health", headers={"Host": host}).status_code == 400


def test_metrics_do_not_grow_by_paths_that_clients_invent(client):
    for i in range(3):
        assert client.get(f"/invented/{i}").status_code == 404
    assert client.get("/predict").status_code == 405
    text = client.get("/metrics").text
    assert 'softkd_requests_total{path="other",status="404"}' in text
    assert "invented" not in text
    for name in ("softkd_request_seconds_bucket", "softkd_batch_rows_count", "softkd_queued_rows"):
        assert name in text


def test_openapi_describes_the_rows_of_this_student(client, iris):
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/predict", "/explain", "/health", "/metrics"}
    predict = described["paths"]["/predict"]["post"]
    content = predict["requestBody"]["content"]
    rows = content["application/json"]["schema"]["properties"]["rows"]
    assert (rows["maxItems"], rows["items"]["minItems"], rows["items"]["maxItems"]) == (10, 4, 4)
    assert FLOATS in content
    assert {"200", "400", "408", "413", "415", "422", "503"} <= set(predict["responses"])


def test_pages_with_scripts_of_others_are_not_served(client):
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


def test_what_cannot_be_served_is_refused_at_the_start(iris):
    X = pd.DataFrame({"a": iris[0][:, 0], "b": pd.Categorical(iris[1])})
    student = XGBoostStudentClassifier(n_estimators=2, random_state=0).fit(X, iris[1])
    with pytest.raises(ValueError, match="categorical columns"):
        create_app(student)
    with pytest.raises(ValueError, match="not fitted"):
        create_app(SoftDecisionTreeClassifier())
    with pytest.raises(TypeError, match="Got a dict"):
        create_app({})


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"max_rows": 0}, "'max_rows' parameter of Limits must be an int >= 1. Got 0"),
        ({"max_body_bytes": 1.5}, "must be an int >= 1. Got 1.5"),
        ({"max_connections": True}, "must be an int >= 1. Got True"),
        ({"read_timeout": float("inf")}, "must be a finite number > 0. Got inf"),
        ({"max_rows": 10, "max_queued_rows": 9}, "must be at least 'max_rows'"),
    ],
)
def test_limits_are_checked(setting, sentence):
    with pytest.raises(ValueError, match="Limits") as raised:
        Limits(**setting)
    assert sentence in str(raised.value)


def test_json_of_the_service_is_json(client, iris):
    raw = client.post("/predict", json={"rows": iris[0][:1].tolist()})
    assert raw.headers["content-type"] == "application/json"
    assert json.loads(raw.content)["predictions"] == ["setosa"]
