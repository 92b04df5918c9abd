"""The files for Kubernetes, as far as they can be judged without a cluster.

KEYS is what the schema of Zero to JupyterHub's chart (jupyterhub/values.schema.yaml) allows where values.yaml
sets something: {key: {...}} goes on below, a type is a leaf, ANY is handed on as it is. OVERRIDES are traits
of KubeSpawner.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from traitlets.config import Config

HUB = Path(__file__).parents[2] / "hub"
VALUES = yaml.safe_load((HUB / "values.yaml").read_text(encoding="utf-8"))
ANY = object()
NUMBER = (int, float)
EGRESS = {"cloudMetadataServer": bool, "nonPrivateIPs": bool, "privateIPs": bool}
KEYS: dict[str, Any] = {
    "hub": {"config": ANY, "extraEnv": ANY, "extraConfig": ANY},
    "singleuser": {
        "image": {"name": str, "tag": str},
        "defaultUrl": str,
        "startTimeout": int,
        "fsGid": int,
        "extraEnv": ANY,
        "storage": {"capacity": str, "extraVolumes": list, "extraVolumeMounts": list},
        "memory": {"guarantee": (str, *NUMBER), "limit": (str, *NUMBER)},
        "cpu": {"guarantee": NUMBER, "limit": NUMBER},
        "profileList": list,
        "networkPolicy": {"enabled": bool, "egressAllowRules": EGRESS},
        "cloudMetadata": {"blockWithIptables": bool},
    },
    "cull": {"enabled": bool, "timeout": int, "every": int},
    "prePuller": {"hook": {"enabled": bool}, "continuous": {"enabled": bool}},
    "scheduling": {"userScheduler": {"enabled": bool}},
    "proxy": {"https": {"enabled": bool, "hosts": list}},
}
PROFILE = {"display_name", "description", "default", "kubespawner_override"}
OVERRIDES = {"extra_resource_limits", "mem_guarantee", "mem_limit"}


def unknown(values: object, keys: Any, path: str = "") -> list[str]:
    """Places in values that the schema does not know, or where it wants another type."""
    if keys is ANY:
        return []
    if not isinstance(keys, dict):
        return [] if isinstance(values, keys) else [path]
    assert isinstance(values, dict), path
    found = [f"{path}.{key}" for key in values if key not in keys]
    for key in values.keys() & keys.keys():
        found += unknown(values[key], keys[key], f"{path}.{key}")
    return found


def test_every_key_is_the_charts():
    assert unknown(VALUES, KEYS) == []


def test_a_misspelt_key_and_a_wrong_type_are_found():
    wrong = {"singleuser": {"memmory": {}, "fsGid": "100"}}
    assert unknown(wrong, KEYS) == [".singleuser.memmory", ".singleuser.fsGid"]


def test_profiles_are_what_the_spawner_takes():
    profiles = VALUES["singleuser"]["profileList"]
    assert [profile["display_name"] for profile in profiles] == ["CPU", "GPU"]
    for profile in profiles:
        assert profile.keys() <= PROFILE
        assert profile.get("kubespawner_override", {}).keys() <= OVERRIDES


def test_every_mount_has_a_volume_and_the_volume_its_folder():
    storage = VALUES["singleuser"]["storage"]
    volumes = {
        volume["name"]: volume["persistentVolumeClaim"]["claimName"] for volume in storage["extraVolumes"]
    }
    claim, job = yaml.safe_load_all((HUB / "volume.yaml").read_text(encoding="utf-8"))
    (command,) = (one["command"] for one in job["spec"]["template"]["spec"]["containers"])
    assert set(volumes.values()) == {claim["metadata"]["name"]}
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    for mount in storage["extraVolumeMounts"]:
        assert mount["name"] in volumes
        assert mount["subPath"] in command[-1]
    writable = {mount["mountPath"] for mount in storage["extraVolumeMounts"] if not mount.get("readOnly")}
    assert writable == {VALUES["singleuser"]["extraEnv"]["COURSE_EXCHANGE"]}


@pytest.fixture
def spawner(monkeypatch) -> Config:
    """What hub.extraConfig sets."""
    for name, value in VALUES["hub"]["extraEnv"].items():
        monkeypatch.setenv(name, value)
    c = Config()
    c.KubeSpawner.environment = dict(VALUES["singleuser"]["extraEnv"])
    exec(VALUES["hub"]["extraConfig"]["course"], {"c": c})
    return c.KubeSpawner


def person(name: str, number: int) -> SimpleNamespace:
    return SimpleNamespace(user=SimpleNamespace(name=name, id=number), notebook_dir="")


def started(spawner: Config, who: SimpleNamespace) -> tuple[list[dict[str, str]], list[str]]:
    """The mounts that a person gets beside the common ones, and the folders of settings."""
    spawner.pre_spawn_hook(who)
    pod = SimpleNamespace(spec=SimpleNamespace(containers=[SimpleNamespace(volume_mounts=[])]))
    mounts = spawner.modify_pod_hook(who, pod).spec.containers[0].volume_mounts
    return mounts, spawner.environment["JUPYTER_CONFIG_PATH"](who).split(":")


def test_students_get_neither_the_course_folder_nor_its_settings(spawner):
    ada = person("ada", 1)
    mounts, settings = started(spawner, ada)
    assert (mounts, ada.notebook_dir) == ([], "")
    assert settings == [
        "/opt/course/hub/jupyter/student",
        "/opt/course/hub/jupyter/everyone",
        "/opt/course/.jupyter",
    ]


def test_the_instructor_starts_in_the_course_folder(spawner):
    teacher = person("instructor", 3)
    mounts, settings = started(spawner, teacher)
    assert [mount["mountPath"] for mount in mounts] == ["/course"] == [teacher.notebook_dir]
    assert "/course" in settings and "/opt/course/hub/jupyter/instructor" in settings


def test_everybody_has_a_number_of_their_own(spawner):
    people = [person("instructor", 3), person("ada", 1), person("ben", 2)]
    assert [spawner.uid(who) for who in people] == [20000, 20001, 20002]


def test_the_image_holds_the_settings_and_nothing_with_answers():
    lines = (HUB / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {source for line in lines if line.startswith("COPY") for source in line.split()[1:-1]}
    allowed = (HUB / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{source}" for source in copied} == {line for line in allowed if line.startswith("!")}
    assert not {source for source in copied if source.startswith(("solutions", "assessments"))}
    assert all((HUB.parent / source).exists() for source in copied)
