"""The configuration is validated as a whole, and every value knows where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.config.effective import Effective, effective
from serving.config.settings import Settings
from serving.errors import ConfigInvalid


def from_text(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> Effective:
    file = tmp_path / "given.yaml"
    file.write_text(text)
    return effective(file, environment or {}, {})


def refusal_of(tmp_path: Path, text: str, environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigInvalid) as refused:
        from_text(tmp_path, text, environment)
    return refused.value.message


def test_no_file_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = effective(None, {}, {})
    assert found.settings == Settings()
    assert {origin for _, _, origin in found.rows()} == {"default"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {m: {routes: {canary: 2}}}", "canary 2 needs stable to name another version"),
        ("models: {m: {routes: {stable: 2, canary: 2}}}", "canary 2 needs stable to name another version"),
        ("models: {m: {routes: {canary_percent: 5}}}", "canary names no version"),
        ("models: {m: {routes: {stable: 1, canary: 2, canary_percent: 101}}}", "from 0 to 100"),
        ("pools: {big-trial: {}}", "names that end in -trial are taken"),
    ],
)
def test_a_trial_that_makes_no_sense_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal_of(tmp_path, text)


def test_what_a_model_does_without_values_goes_by_its_new_name(tmp_path: Path) -> None:
    assert from_text(tmp_path, "models: {m: {on_missing: impute}}").settings.models["m"].on_missing == "impute"
    assert "`refuse` is now called `fail`" in refusal_of(tmp_path, "models: {m: {on_missing: refuse}}")
    assert "one of default, fail, impute" in refusal_of(tmp_path, "models: {m: {on_missing: guess}}")


def test_transforms_are_read_where_they_stand_among_columns(tmp_path: Path) -> None:
    text = "models: {m: {inputs: [{name: x, features: [request.a, {log1p: request.b}]}], request_defaults: {a: none}}}"
    section = from_text(tmp_path, text).settings.models["m"]
    plain, made = section.inputs[0].entries()
    assert (plain, section.request_defaults) == ("request.a", {"a": "none"})
    assert not isinstance(made, str)
    assert made.names == ("log1p(request.b)",)


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("{sqrt: request.b}", "a transform names one of cyclic, log, log1p"),
        ("{log: plan.b}", "'plan.b' names no feature view; there are request"),
        ("7", "must be a column, or a transform like {log1p: plane.seats}, got 7"),
    ],
)
def test_what_is_no_column_is_told_with_its_place(tmp_path: Path, feature: str, said: str) -> None:
    refused = refusal_of(tmp_path, "models: {m: {inputs: [{name: x, features: [" + feature + "]}]}}")
    assert "models.m.inputs" in refused
    assert said in refused


def test_a_pools_transport_is_the_stream_or_rays_handle(tmp_path: Path) -> None:
    settings = from_text(tmp_path, "pools: {slow: {transport: serve_handle}, fast: {}}").settings
    assert (settings.pool("slow").transport, settings.pool("fast").transport) == ("serve_handle", "stream")
    assert "one of stream, serve_handle" in refusal_of(tmp_path, "pools: {slow: {transport: http}}")


def test_later_ones_win_and_say_so(tmp_path: Path) -> None:
    file = tmp_path / "given.yaml"
    file.write_text("http:\n  port: 1111\n  workers: 2\n  idle_s: 5\n")
    environment = {"SLUICE_HTTP__WORKERS": "3", "SLUICE_HTTP__IDLE_S": "6.5", "SLUICE_DEBUG": "1", "HOME": "/"}
    found = effective(file, environment, {("http", "workers"): ("--workers", 4)})
    assert (found.settings.http.port, found.settings.http.idle_s, found.settings.http.workers) == (1111, 6.5, 4)
    origins = {".".join(path): origin for path, _, origin in found.rows()}
    assert origins["http.port"] == f"{file} line 2"
    assert origins["http.idle_s"] == "environment SLUICE_HTTP__IDLE_S"
    assert origins["http.workers"] == "flag --workers"
    assert origins["http.host"] == "default"


def test_a_file_in_the_working_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sluice.yaml").write_text("http: {port: 4242}")
    assert effective(None, {}, {}).settings.http.port == 4242


def test_every_problem_is_named_at_once_with_value_and_what_is_permitted(tmp_path: Path) -> None:
    said = refusal_of(
        tmp_path,
        """
http: {port: 99999, prt: 1, workers: true, head_s: .nan}
engine: {kind: rya}
pools: {a: {min_replicas: 3}, "b c": {}}
models:
  m: {batching: {enabled: 1, max_rows: 0}, routes: {stable: 0}}
modles: {}
""",
        {"SLUICE_METRICS__PORT": "many"},
    )
    for part in (
        "http.port (",
        "line 2): is 99999; permitted: a whole number from 0 to 65535",
        "unknown key; did you mean port?",
        "is true; permitted: a whole number from 1 to 256",
        "is NaN; permitted: a number above 0 up to 3600",
        'is "rya"; permitted: one of ray, in-process',
        "min_replicas 3 is more than max_replicas 1",
        "'b c' is no name",
        "models.m.batching.enabled",
        "models.m.batching.max_rows",
        "models.m.routes.stable",
        "did you mean models?",
        'metrics.port (environment SLUICE_METRICS__PORT): is "many"; permitted: a whole number from 0 to 65535 or null',
    ):
        assert part in said
    assert said.startswith("the configuration has 12 problems:")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ('"redis://:planted@host:6379/0', "SLUICE_STATE__CONTROL_URL: its value is no YAML"),
        # With the blank after its colon it is a mapping.
        (
            "redis://:planted: word@host:6379/0",
            "environment SLUICE_STATE__CONTROL_URL): is no text, but what YAML makes of",
        ),
    ],
)
def test_a_variable_that_cannot_be_read_is_named_and_its_password_is_not_shown(
    tmp_path: Path, value: str, told: str
) -> None:
    said = refusal_of(tmp_path, "", {"SLUICE_STATE__CONTROL_URL": value})
    assert told in said
    assert "planted" not in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http: {port: 1, port: 2}", "http.port stands twice"),
        ("http: [", "line 1, column 8"),
        ("- a\n- b", "must be a mapping of sections"),
        ("http: 5", "is 5; permitted: a mapping with the keys host, port"),
        ("http:", "is null; permitted: a mapping"),
        ("http: {port: '80'}", 'is "80"; permitted: a whole number'),
        ("models: {m: {pool: fast}}", "there is no pool 'fast'; permitted: default, gateway"),
        ("pools: {gateway: {}}", "pools.gateway"),
        (
            "pools: {a: {max_replicas: 2, transport: serve_handle}}",
            "transport serve_handle the number of replicas cannot",
        ),
        ("models: {m: {batching: {max_rows: 9, queue_rows: 8}}}", "queue_rows 8 holds less than one batch"),
        ("feature_views: {p: {entity: [a], features: {x: str}}}", "one of float32, float64, int32, int64, bool"),
        ("feature_views: {p: {entity: [a, a], features: {x: bool}}}", "names a field twice"),
        ("feature_views: {p: {entity: [a], features: {x: {dtype: int32, default: 0.5}}}}", "which is no int32"),
        ("feature_views: {request: {entity: [a], features: {x: bool}}}", "feature_views.request"),
        ("feature_views: {p.q: {entity: [a], features: {x: bool}}}", "'p.q' is no name"),
        ("models: {m: {inputs: [{name: i, features: [p.x]}]}}", "'p.x' names no feature view; there are request"),
        ("models: {m: {inputs: [{name: i, features: [x]}]}}", "write <view>.<feature> or request.<field>"),
        ("feature_views: {p: {entity: [a]}}", "feature_views.p.features"),
        ("state: {control_url: 'http://u:word@h'}", "permitted: embedded, redis://, rediss:// or unix://"),
        ("state: {features_url: 'rediss://h?ssl_cafile=x'}", "has the option 'ssl_cafile'; known are db, password"),
        ("a: " + "[" * 30 + "]" * 30, "nested more than 20 deep"),
        ("a: &x [*x]", "nested more than 20 deep"),
        ("a: !!python/name:os.system x", "could not determine a constructor"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place_and_the_reason(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal_of(tmp_path, text)


def test_passwords_are_never_shown(tmp_path: Path) -> None:
    found = from_text(tmp_path, "state: {control_url: 'redis://user:word@h:1/0'}")
    assert found.settings.state.control_url == "redis://user:word@h:1/0"
    assert ":word" not in str(found.rows())
    assert ":word" not in refusal_of(tmp_path, "state: {control_url: 'http://user:word@h'}")
    found = from_text(tmp_path, "state: {features_url: 'rediss://h?username=user&password=word&db=1'}")
    assert "rediss://h?username=user&password=***&db=1" in str(found.rows())
    assert "=word" not in refusal_of(tmp_path, "state: {features_url: 'rediss://h?password=word&x=1'}")


def test_a_variable_reaches_a_model_with_a_dash_in_its_name(tmp_path: Path) -> None:
    found = from_text(tmp_path, "models: {flight-delay: {}}", {"SLUICE_MODELS__FLIGHT_DELAY__DEADLINE_MS": "50"})
    assert found.settings.model("flight-delay").deadline_ms == 50
    assert found.settings.model("another").deadline_ms == 1_000


def test_a_variable_can_set_a_whole_section(tmp_path: Path) -> None:
    found = from_text(tmp_path, "http: {port: 1}", {"SLUICE_POOLS__FAST": "{slots: 2, num_cpus: 1}"})
    assert found.settings.pool("fast").slots == 2


@pytest.mark.parametrize("name", ["SLUICE___PORT", "SLUICE_HTTP__", "SLUICE_HTTP__PRT", "SLUICE_HTPP__PORT"])
def test_a_variable_that_means_nothing_is_an_error(tmp_path: Path, name: str) -> None:
    assert name in refusal_of(tmp_path, "", {name: "1"})


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match=r"absent\.yaml cannot be read: No such file"):
        effective(tmp_path / "absent.yaml", {}, {})


def test_settings_survive_the_way_to_a_worker_as_json(tmp_path: Path) -> None:
    settings = from_text(tmp_path, "models: {m: {routes: {stable: 2}, batching: {enabled: false}}}").settings
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings


@given(st.text(max_size=200))
def test_whatever_a_file_holds_is_taken_or_refused_in_words(text: str) -> None:
    from serving.config.document import read_yaml
    from serving.config.effective import validated
    from serving.config.layers import Layers

    layers = Layers()
    try:
        layers.add_file(read_yaml(text, "given"), "given")
        validated(layers)
    except ConfigInvalid as refused:
        assert refused.message  # noqa: PT017 - being taken is right as well
