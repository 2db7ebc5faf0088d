"""The addresses of repositories that only restic reaches, and what restic gets for each."""

from __future__ import annotations

import base64
import shlex
from pathlib import Path
from typing import Any

import pytest

from drd.cli.main import main
from drd.config.scheme_settings import SECTIONS
from drd.errors import NotSupported, SecretUnavailable, UsageError
from drd.kit.typed_access import typed_access
from drd.model.location import normal_url
from drd.model.plan import RepositorySpec, SecretRef
from drd.model.schemes import SCHEMES
from drd.process import Command
from drd.repositories import open_repository
from drd.repositories.restic import ResticRepository
from drd.repositories.restic.errors import failure
from drd.repositories.restic.messages import complaints
from drd.repositories.restic.two_repositories import command

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nsecret-key\n-----END OPENSSH PRIVATE KEY-----"
LOCKED = KEY.replace(
    "secret-key", base64.b64encode(b"openssh-key-v1\0\0\0\0\x0aaes256-ctr").decode()
)
CONFIG = "[nas]\ntype = webdav\npass = secret-pass\nno-head = true\n[other]\ntype = local\n"


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("sftp:me@Host.example.com:/srv//backup/", "sftp:me@host.example.com:/srv/backup"),
        ("sftp://me@host//srv/backup", "sftp:me@host:/srv/backup"),
        ("sftp://me@host:22//srv/backup/", "sftp:me@host:/srv/backup"),
        ("sftp://me@host:2222//srv/backup/", "sftp://me@host:2222//srv/backup"),
        ("sftp://me@host/backup", "sftp:me@host:backup"),
        ("sftp:me@host:a/../b", "sftp:me@host:b"),
        ("sftp:me@corp.example@host:/b", "sftp:me@corp.example@host:/b"),
        ("sftp://me@[::1]:2222//srv/a%20b", "sftp://me@[::1]:2222//srv/a%20b"),
        ("sftp://me@[::1]//srv/b", "sftp://me@[::1]//srv/b"),
        ("rest:https://Host:443/a//b", "rest:https://host/a/b/"),
        ("rest:http://host:8000", "rest:http://host:8000/"),
        ("b2:my-bucket:a/b/", "b2:my-bucket:a/b"),
        ("b2:my-bucket:/a", "b2:my-bucket:a"),
        ("b2:my-bucket", "b2:my-bucket"),
        ("azure:box:a/", "azure:box:/a"),
        ("azure:box:/", "azure:box:/"),
        ("gs:my.bucket:/a/b", "gs:my.bucket:/a/b"),
        ("rclone:nas:/a//b/", "rclone:nas:/a/b"),
        ("rclone:nas:", "rclone:nas:"),
    ],
)
def test_one_place_has_one_spelling(written: str, normal: str) -> None:
    assert normal_url(written) == normal
    assert normal_url(normal) == normal


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("sftp:-oProxyCommand=touch /tmp/x:/b", "does not contain a user"),
        ("sftp:me@-oProxyCommand=x:/b", "not a valid host name"),
        ("sftp:-lroot@host:/b", "not a valid user name"),
        ("sftp://me@-oProxyCommand=x/b", "not a valid host name"),
        ("sftp:me@host name:/b", "not a valid host name"),
        ("sftp:me@ho'st:/b", "not a valid host name"),
        ("sftp://me:hunter2@host/b", "contains a password"),
        ("sftp:me:hunter2@host:/b", "contains a password"),
        ("sftp:host:/b", "does not contain a user"),
        ("sftp:me@host", "no path"),
        ("sftp:me@host:", "no path"),
        ("sftp:me@host:.", "does not name a directory"),
        ("sftp:me@host:..", "does not name a directory"),
        ("sftp:me@host:../b", "does not name a directory"),
        ("sftp:me@host:~/b", "begins with ~"),
        ("sftp:me@host:/b\nx", "control character"),
        ("sftp://me@host:0/b", "port 0"),
        ("sftp://me@host:99999/b", "[Pp]ort"),
        ("sftp://me@host/b?x", r"\? or #"),
        ("rest:ftp://host/b", "neither https:// nor http://"),
        ("rest:http+unix:///run/rest.socket:/b", "neither https:// nor http://"),
        ("rest:https://me:hunter2@host/b", "user or password"),
        ("rest:https:///b", "no host"),
        ("rest:https://host/b?x=1", "query"),
        ("b2:short:/x", "name of a bucket"),
        ("b2:my-bucket/x", "name of a bucket"),
        ("azure:Box:/x", "name of a container"),
        ("azure:box", "no path"),
        ("gs:-bucket:/x", "name of a bucket"),
        ("rclone::local,links=true:/x", "not the name of a remote"),
        ("rclone:nas,ssh=touch /tmp/x:/x", "not the name of a remote"),
        ("rclone:--config=/tmp/x:/x", "not the name of a remote"),
        ("rclone:nas", "no path"),
    ],
)
def test_an_address_that_cannot_be_or_would_be_an_option_is_refused(
    url: str, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        normal_url(url)
    assert "hunter2" not in str(caught.value)


def test_the_plan_has_the_settings_of_each_scheme_as_the_table_says() -> None:
    assert set(SECTIONS) == set(SCHEMES)
    for name, section in SECTIONS.items():
        fields = section.model_fields
        assert set(fields) == set(SCHEMES[name].settings)
        for key, setting in SCHEMES[name].settings.items():
            assert fields[key].is_required() == setting.required, (name, key)
            is_secret = "SecretRef" in str(fields[key].annotation)
            assert is_secret == setting.secret, (name, key)


ACCESS: dict[str, tuple[str, dict[str, str]]] = {
    "sftp": ("sftp://me@host:2222//b", {"key": KEY, "known_hosts": "host ssh-ed25519 AAAA"}),
    "rest": ("rest:https://host:8000/b/", {"user": "me", "password": "secret-rest"}),
    "b2": ("b2:my-bucket:b", {"account_id": "secret-id", "account_key": "secret-b2"}),
    "azure": (
        "azure:box:/b",
        {"account_name": "acme", "account_key": "secret-az", "endpoint_suffix": "x.example"},
    ),
    "gs": ("gs:my-bucket:/b", {"project_id": "acme", "credentials": '{"key": "secret-gs"}'}),
    "rclone": ("rclone:nas:b", {"config": CONFIG}),
}


def made(scheme: str, directory: Path, *, name: str = "p", **changed: str) -> ResticRepository:
    url, values = ACCESS[scheme]
    settings = SCHEMES[scheme].settings
    access = tuple(
        (key, SecretRef("text", value) if settings[key].secret else value)
        for key, value in {**values, **changed}.items()
    )
    spec = RepositorySpec(name, url, SecretRef("text", "secret-restic"), access=access)
    return open_repository(spec, cache_dir=directory, resolve=lambda ref: str(ref.value))


def told(given: Command) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """The words, the variables of the scheme, and the files of a command."""
    ours = ("RESTIC_REPOSITORY", "RESTIC_PASSWORD", "RESTIC_PROGRESS_FPS", "TZ")
    env = {name: value for name, value in given.env.items() if name not in ours}
    return list(given.argv), env, {name: file.decode() for name, file in given.files.items()}


EXPECTED: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "sftp": (
        {},
        {"DRD_SSH_KEY": f"{KEY}\n", "DRD_SSH_KNOWN_HOSTS": "host ssh-ed25519 AAAA\n"},
    ),
    "rest": ({"RESTIC_REST_USERNAME": "me", "RESTIC_REST_PASSWORD": "secret-rest"}, {}),
    "b2": ({"B2_ACCOUNT_ID": "secret-id", "B2_ACCOUNT_KEY": "secret-b2"}, {}),
    "azure": (
        {
            "AZURE_ACCOUNT_NAME": "acme",
            "AZURE_ACCOUNT_KEY": "secret-az",
            "AZURE_ENDPOINT_SUFFIX": "x.example",
        },
        {},
    ),
    "gs": (
        {"GOOGLE_PROJECT_ID": "acme"},
        {"GOOGLE_APPLICATION_CREDENTIALS": '{"key": "secret-gs"}\n'},
    ),
    "rclone": (
        {
            "RCLONE_CONFIG": "",
            "RCLONE_CONFIG_NAS_TYPE": "webdav",
            "RCLONE_CONFIG_NAS_PASS": "secret-pass",
            "RCLONE_CONFIG_NAS_NO_HEAD": "true",
            "RCLONE_CONFIG_OTHER_TYPE": "local",
        },
        {},
    ),
}


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_restic_gets_secrets_in_its_variables_and_never_among_its_words(
    scheme: str, tmp_path: Path
) -> None:
    given = made(scheme, tmp_path).runner.session.command(["cat", "config"])
    words, env, files = told(given)
    assert (env, files) == EXPECTED[scheme]
    assert given.env["RESTIC_REPOSITORY"] == ACCESS[scheme][0]
    assert "secret-" not in " ".join(words)


def test_ssh_reads_no_configuration_and_trusts_only_the_given_host_keys(tmp_path: Path) -> None:
    words, _, _ = told(made("sftp", tmp_path).runner.session.command([]))
    (args,) = (
        shlex.split(w.removeprefix("--option=sftp.args=")) for w in words if "sftp.args" in w
    )
    for word in (
        "-Fnone",
        "-oBatchMode=yes",
        "-oStrictHostKeyChecking=yes",
        "-oIdentitiesOnly=yes",
        "-oGlobalKnownHostsFile=none",
        "-oIdentityFile=${DRD_SSH_KEY}",
        "-oUserKnownHostsFile=${DRD_SSH_KNOWN_HOSTS}",
    ):
        assert word in args


def test_rclone_gets_no_password_of_restic(tmp_path: Path) -> None:
    words, _, _ = told(made("rclone", tmp_path).runner.session.command([]))
    (program,) = (w for w in words if "rclone.program=" in w)
    assert program.startswith(
        "--option=rclone.program=env -u RESTIC_PASSWORD -u RESTIC_FROM_PASSWORD /"
    )


@pytest.mark.parametrize(
    ("scheme", "changed", "complaint"),
    [
        ("sftp", {"key": "ssh-ed25519 AAAA"}, "is not a private SSH key"),
        (
            "rclone",
            {"config": "[else]\ntype = local\n"},
            "has no remote nas; its remotes are: else",
        ),
        ("rclone", {"config": "no section = secret"}, "is not a configuration of rclone"),
        ("rclone", {"config": "RCLONE_ENCRYPT_V0:\nsecret"}, "is encrypted"),
    ],
)
def test_a_secret_that_cannot_be_the_one_is_refused_without_its_text(
    scheme: str, changed: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(SecretUnavailable, match=complaint) as caught:
        made(scheme, tmp_path, **changed).runner.session.command([])
    assert "= secret" not in str(caught.value)


def test_a_restic_that_was_built_without_a_scheme_is_named_with_the_remedy() -> None:
    said = "Fatal: parsing repository location failed: invalid backend\nIf the repository is in …"
    error = failure(1, complaints(said), "azure:box:/p")
    assert str(error.message) == (
        "the restic of this host does not support azure, so drd cannot reach azure:box:/p"
    )
    assert error.hint == (
        "Debian's restic does not support every kind of storage. Download restic's own release "
        "from https://github.com/restic/restic/releases and install it as /usr/local/bin/restic."
    )


@pytest.mark.parametrize("name", ["ab", "Acme", "acme.evil", "a/b", "acme\n", "a" * 25, "acme:1"])
def test_a_text_that_is_not_an_account_name_is_refused_as_typed(name: str) -> None:
    with pytest.raises(UsageError, match="not a valid name of a storage account"):
        typed_access("azure:box:/p", {"account_name": name})


def test_a_file_for_a_value_that_is_no_secret_is_named(tmp_path: Path) -> None:
    user, authority = tmp_path / "user", tmp_path / "ca.pem"
    user.write_text("far")
    authority.write_text("a certificate")
    access = typed_access("rest:https://h/p", {"user": "far", "ca_cert": str(authority)})
    assert dict(access) == {"user": "far", "ca_cert": str(authority)}
    with pytest.raises(
        UsageError, match="names a file, but user needs the value itself"
    ) as refused:
        typed_access("rest:https://h/p", {"user": str(user)})
    assert "--access user=VALUE" in refused.value.hint


@pytest.mark.parametrize("words", [["--ca-cert", "ca.pem"], ["--access", "ca_cert=ca.pem"]])
def test_a_certificate_authority_of_a_bootstrap_is_one_setting(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is given: the file then goes where the plans expect it."""
    taken = []

    def from_repository(*_: Any, **given: Any) -> Any:
        taken.append((given["ca_cert"], given["access"]))
        raise UsageError("enough", hint="")

    monkeypatch.setattr("drd.cli.bootstrap.from_repository", from_repository)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pw").write_text("password")
    given = ["--repository", "rest:https://h/p", "--password-file", "pw", "--root", "new"]
    assert main(["bootstrap", *given, *words, "--access", "user=far"]) == 2
    assert taken == [(str(tmp_path / "ca.pem"), {"user": "far"})]


@pytest.mark.parametrize("suffix", ["x.example/y", "x.example:1", "a@b", ".x", "x.example\n", "x?"])
def test_a_text_that_is_not_a_host_name_is_refused_as_typed(suffix: str) -> None:
    with pytest.raises(UsageError, match="not a valid host name"):
        typed_access("azure:box:/p", {"account_name": "acme", "endpoint_suffix": suffix})


def copied(into: ResticRepository, source: ResticRepository) -> Command:
    return command(into.runner.session, source.runner.session, ["copy"])


def test_a_copy_between_two_ssh_servers_offers_both_keys_and_knows_both_hosts(
    tmp_path: Path,
) -> None:
    source = made("sftp", tmp_path, key=KEY.replace("secret-key", "another"))
    given = copied(made("sftp", tmp_path, name="copy"), source)
    words, _, files = told(given)
    assert set(files) == {
        "DRD_SSH_KEY",
        "DRD_SSH_KNOWN_HOSTS",
        "DRD_FROM_SSH_KEY",
        "DRD_FROM_SSH_KNOWN_HOSTS",
    }
    (args,) = (
        shlex.split(w.removeprefix("--option=sftp.args=")) for w in words if "sftp.args" in w
    )
    assert "-oIdentityFile=${DRD_FROM_SSH_KEY}" in args
    assert "-oUserKnownHostsFile=${DRD_SSH_KNOWN_HOSTS} ${DRD_FROM_SSH_KNOWN_HOSTS}" in args


def test_a_copy_between_two_rest_servers_gives_each_its_own_login(tmp_path: Path) -> None:
    given = copied(made("rest", tmp_path), made("rest", tmp_path, user="you", password="p@/:"))
    assert given.env["RESTIC_REPOSITORY"] == "rest:https://me:secret-rest@host:8000/b/"
    assert given.env["RESTIC_FROM_REPOSITORY"] == "rest:https://you:p%40%2F%3A@host:8000/b/"
    assert "RESTIC_REST_PASSWORD" not in given.env
    assert "secret-" not in " ".join(given.argv)


@pytest.mark.parametrize(
    ("scheme", "changed", "complaint"),
    [
        ("b2", {"account_key": "other"}, "restic uses only one login"),
        ("azure", {"account_key": "other"}, "restic uses only one login"),
        ("gs", {"credentials": "{}"}, "restic uses only one login"),
        (
            "rclone",
            {"config": "[nas]\ntype = local\n"},
            "have a remote nas of rclone with different",
        ),
    ],
)
def test_a_copy_that_restic_cannot_make_is_refused_and_one_with_the_same_login_is_not(
    scheme: str, changed: dict[str, str], complaint: str, tmp_path: Path
) -> None:
    into, same = made(scheme, tmp_path), made(scheme, tmp_path, name="same")
    copied(into, same)
    with pytest.raises(NotSupported, match=complaint):
        copied(into, made(scheme, tmp_path, name="copy", **changed))


def test_a_copy_between_two_schemes_has_the_login_of_both(tmp_path: Path) -> None:
    given = copied(made("b2", tmp_path), made("rclone", tmp_path))
    assert given.env["B2_ACCOUNT_KEY"] == "secret-b2"
    assert given.env["RCLONE_CONFIG_NAS_TYPE"] == "webdav"
    given = copied(made("sftp", tmp_path), made("gs", tmp_path))
    assert set(given.files) == {
        "DRD_SSH_KEY",
        "DRD_SSH_KNOWN_HOSTS",
        "GOOGLE_APPLICATION_CREDENTIALS",
    }
    assert given.argv[-2].startswith("--option=sftp.args=")
    given = copied(made("rclone", tmp_path), made("sftp", tmp_path))
    options = [word for word in given.argv if word.startswith("-")]
    assert [word.partition("=")[2].partition("=")[0] for word in options[1:]] == [
        "rclone.program",
        "rclone.args",
        "sftp.args",
    ]


@pytest.mark.parametrize(
    ("scheme", "removal"),
    [
        ("sftp", "echo 'rm /b/snapshots/x' | sftp -b - -P 2222 me@host"),
        ("rest", "curl -X DELETE https://host:8000/b/snapshots/x"),
        ("b2", "b2 rm b2://my-bucket/b/snapshots/x"),
        ("azure", "az storage blob delete --container-name box --name b/snapshots/x"),
        ("gs", "gcloud storage rm gs://my-bucket/b/snapshots/x"),
        ("rclone", "rclone deletefile nas:b/snapshots/x"),
    ],
)
def test_a_person_gets_the_command_that_removes_an_object(
    scheme: str, removal: str, tmp_path: Path
) -> None:
    assert made(scheme, tmp_path).removal("x") == removal


def test_secrets_of_a_repository_are_named_by_their_section(tmp_path: Path) -> None:
    spec = made("rest", tmp_path).runner.session.spec
    assert set(spec.secrets()) == {"password", "rest.password"}
    trusting = spec.trusting("/etc/ca.pem")
    opened = open_repository(trusting, cache_dir=tmp_path, resolve=lambda ref: str(ref.value))
    assert trusting.ca_cert == "/etc/ca.pem"
    assert list(opened.runner.session.command([]).argv)[-1] == "--cacert=/etc/ca.pem"
