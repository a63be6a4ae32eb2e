"""The wiring as written, and what is made of an engine's answers; the containers themselves are in test_compose_engine."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from labs.scenario import Scenario
from labs.worlds import WorldError, compose
from sleepy.sim import Link

FILE = yaml.safe_load((Path(__file__).parents[3] / "docker-compose.yml").read_text())


# --- the wiring


@pytest.mark.parametrize("service", FILE["services"])
def test_no_container_is_privileged(service):
    wiring = FILE["services"][service]
    assert "privileged" not in wiring
    assert wiring["cap_drop"] == ["ALL"]


def test_capabilities_are_those_for_routes_and_captures_and_those_to_stop_being_root():
    granted = {name: set(service["cap_add"]) for name, service in FILE["services"].items()}
    assert granted == {
        "lab-hol": {"NET_ADMIN", "SETUID", "SETGID"},
        "router": {"NET_ADMIN", "NET_RAW"},
        "server": {"NET_ADMIN"},
    }


def test_only_the_router_is_in_both_networks():
    networks = {name: set(service["networks"]) for name, service in FILE["services"].items()}
    assert networks == {"lab-hol": {"left"}, "router": {"left", "right"}, "server": {"right"}}


# --- without an engine


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?", "Start the engine"),
        ("permission denied while trying to connect to the Docker daemon socket at unix:///x", "group docker"),
        ("docker: 'compose' is not a docker command.\nSee 'docker --help'", "docker-compose-plugin"),
        ("unknown flag: --file\n\nUsage:  docker [OPTIONS] COMMAND", "docker-compose-plugin"),
        ("Error response from daemon: Pool overlaps with other one on this address space", "SLEEPY_LEFT"),
        ('Get "https://registry.example/v2/": dial tcp: no such host', "SLEEPY_BASE_IMAGE"),
        ("pull access denied for python, repository does not exist", "SLEEPY_BASE_IMAGE"),
        ("something else altogether", "docker info"),
        ("", "docker info"),
    ],
)
def test_every_complaint_comes_with_a_remedy(said, remedy):
    error = compose.explain("no containers", said)
    assert error.cause.startswith("no containers: ")
    assert "\n" not in error.cause
    assert remedy in error.remedy


@pytest.fixture
def _no_answers_remembered():
    compose._findings.cache_clear()
    yield
    compose._findings.cache_clear()


@pytest.mark.usefixtures("_no_answers_remembered")
def test_no_engine_is_a_reason_not_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    probe = compose.probe(Scenario("hol", "brief", "", Link(), Link(), {}))
    assert not probe.ok
    assert "there is no program docker" in probe.reason
    assert "Install" in probe.remedy


def test_an_engine_that_does_not_answer_is_not_waited_for(monkeypatch, tmp_path):
    (tmp_path / "docker").write_text(f"#!{sys.executable}\nimport time\ntime.sleep(60)\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(WorldError, match="no answer within"):
        compose._ask("docker", "version", what="no engine", patience=0.5)


def client_that(script: str, tmp_path: Path, patience: float = 30.0) -> list[object]:
    """What is told while a client runs that is a Python script."""
    told: list[object] = []
    log = tmp_path / "log"
    command = [sys.executable, "-c", f"import json, sys, time\n{script}"]
    with log.open("wb") as complaints, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints) as client:
        compose._hear_out(client, told.append, log, patience)
    return told


def test_progress_is_passed_on_and_other_talk_is_not(tmp_path):
    script = "print('Sending build context'); print(json.dumps({'done': 1, 'of': 2, 'phase': 'x'}))"
    assert client_that(script, tmp_path) == [{"done": 1, "of": 2, "phase": "x"}]


def test_what_went_wrong_in_the_containers_is_told_in_their_words(tmp_path):
    script = "print(json.dumps({'cause': 'a port is taken', 'remedy': 'free it'})); sys.exit(2)"
    with pytest.raises(WorldError, match="a port is taken") as error:
        client_that(script, tmp_path)
    assert error.value.remedy == "free it"


def test_a_client_that_dies_without_a_word_is_an_error(tmp_path):
    with pytest.raises(WorldError, match="Pool overlaps"):
        client_that("sys.exit('Pool overlaps with other one')", tmp_path)


def test_a_client_that_hangs_is_ended(tmp_path):
    with pytest.raises(WorldError):
        client_that("time.sleep(60)", tmp_path, patience=0.5)
