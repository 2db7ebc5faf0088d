"""Attack: whoever holds the bucket puts files among the keys, without any password, and nothing
opens any more.

Files whose numbers scrypt does not take, dear ones, and a thousand cheap ones whose names come
first: each kept every command from working, and drd called the repository damaged. Of what he puts
there he cannot choose when it came, unless he writes the repository's own once more; and he cannot
have them all be cheap and all be dear.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import time
from pathlib import Path

import pytest

from drd.errors import ForeignObjects, RepositoryDamaged, RepositoryError
from drd.process import Completed
from drd.repositories.restic import foreign_objects, key_search
from drd.repositories.restic.ciphers import NoKey, key_file
from drd.repositories.restic.errors import judge
from drd.repositories.restic.repository import ResticRepository
from tests.e2e.kit_site import Machine
from tests.e2e.site import PASSWORD, Site
from tests.repository_support import founded, local_repository, new_bucket, s3_repository, shell
from tests.servers import S3Server

NO_SCRYPT = ((65536, 1, 1), (2, 1, 1 << 23), (4, 1 << 19, 8))
DEAR = (1 << 18, 8, 8)
"""As much as drd would try at all: ten seconds each."""
CHEAP = (2, 1, 1)


def foreign_key(number: int, n: int, r: int, p: int) -> bytes:
    told = {
        "created": "2001-01-01T00:00:00Z", "username": "root", "hostname": f"host-{number}",
        "kdf": "scrypt", "N": n, "r": r, "p": p,
        "salt": base64.b64encode(b"s" * 64).decode(), "data": base64.b64encode(b"d" * 160).decode(),
    }  # fmt: skip
    return json.dumps(told).encode()


def put(directory: Path, count: int, cost: tuple[int, int, int]) -> list[str]:
    """As restic names what it stores."""
    names = []
    for number in range(count):
        content = foreign_key(number, *cost)
        names.append(hashlib.sha256(content).hexdigest())
        (directory / names[-1]).write_bytes(content)
    return names


def put_first(directory: Path, count: int) -> list[str]:
    """Under names that come before all others."""
    names = [f"{number:064x}" for number in range(count)]
    for number, name in enumerate(names):
        (directory / name).write_bytes(foreign_key(number, *CHEAP))
    return names


def written_anew(directory: Path, own: str) -> None:
    """As whoever holds the bucket can: it is the newest now."""
    time.sleep(0.05)
    content = (directory / own).read_bytes()
    (directory / own).unlink()
    (directory / own).write_bytes(content)


def attacked(keys: Path, how: str) -> list[str]:
    (own,) = (path.name for path in keys.iterdir())
    if how == "no scrypt":
        return [name for cost in NO_SCRYPT for name in put(keys, 1, cost)]
    dear = put(keys, 19, DEAR)
    cheap = put_first(keys, 1001) + put(keys, 300, CHEAP)
    if how == "written anew":
        written_anew(keys, own)
    return dear + cheap


@pytest.fixture
def site(stored: Site) -> Site:
    shutil.rmtree(stored.base / "cache")  # nothing is remembered of the time before
    return stored


def keys_of(site: Site) -> Path:
    return Path(site.repository) / "keys"


@pytest.mark.parametrize("how", ["no scrypt", "many", "written anew"])
def test_garbage_among_the_keys_stops_nothing(site: Site, how: str) -> None:
    attacked(keys_of(site), how)
    begun = time.monotonic()
    site.drd("drill", "shop")  # the first to look for the key, and without a cache
    shutil.rmtree(site.base / "cache")
    site.drd("backup", "shop")
    site.drd("verify", "shop")
    site.drd("catalogue", "rebuild", "shop")
    site.drd("recover", "shop", "--target", "standby", "--dry-run")
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("how", ["no scrypt", "many", "written anew", "the healthy twin"])
def test_a_new_host_finds_its_key_at_once(site: Site, how: str) -> None:
    if how != "the healthy twin":
        attacked(keys_of(site), how)
    machine = Machine(site.base / "root")
    password = machine.root.parent / "password"
    password.write_text(PASSWORD)
    begun = time.monotonic()
    machine.drd(
        "bootstrap", "--repository", site.repository, "--password-file", str(password),
        "--root", str(machine.root),
    )  # fmt: skip
    assert time.monotonic() - begun < 30


def test_in_a_bucket_the_oldest_is_tried_first(s3: S3Server, tmp_path: Path) -> None:
    bucket = new_bucket(s3)
    url = s3.repository(bucket, "p")
    stored = founded(s3_repository(s3, tmp_path, url=url), s3).store(
        shell("echo x"), host="shop", tags=["drd"]
    )
    time.sleep(1.1)  # a listing has whole seconds
    for number in range(5):
        content = foreign_key(number, *DEAR)
        key = f"p/keys/{hashlib.sha256(content).hexdigest()}"
        s3.client().put_object(Bucket=bucket, Key=key, Body=content)
    fresh = s3_repository(s3, tmp_path / "fresh", url=url)
    begun = time.monotonic()
    fresh.restore(stored.snapshot, _made(tmp_path / "into"))
    assert time.monotonic() - begun < 8


def test_keys_that_cannot_be_tried_in_time_are_named_and_are_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = founded(local_repository(tmp_path))
    keys = tmp_path / "repository/keys"
    (own,) = (path.name for path in keys.iterdir())
    put(keys, 3, DEAR)
    put_first(keys, 30)
    written_anew(keys, own)
    monkeypatch.setattr(key_search, "SEARCH_S", 0.0)
    repository = local_repository(tmp_path)
    for work in (repository.identity, repository.snapshots, repository.opens):
        with pytest.raises(ForeignObjects) as caught:
            work()
        assert caught.value.below == "keys"
        assert "34 files are in its directory keys/" in caught.value.message
        assert f"ls -lctr -- {keys}" in caught.value.hint
        assert f"rm -f -- {keys}/NAME" in caught.value.hint
    monkeypatch.undo()
    assert local_repository(tmp_path).identity() is not None, "the healthy twin"


def test_words_about_a_key_file_are_not_damage() -> None:
    for word, error in (("key", RepositoryError), ("index", RepositoryDamaged)):
        said = f"Fatal: LoadRaw(<{word}/0000000000>): invalid data returned"
        with pytest.raises(RepositoryError) as caught:
            judge(Completed(1, "", said, 1.0), "/repository")
        assert type(caught.value) is error
    with pytest.raises(RepositoryError, match="tried twenty keys of the repository") as caught:
        judge(Completed(1, "", "Fatal: maximum number of keys reached", 1.0), "/repository")
    assert "remove the files in keys/ of the repository that nobody uses" in caught.value.hint
    told = r'{"message_type":"exit_error","message":"Fatal: LoadRaw(\u003ckey/00\u003e): invalid"}'
    assert foreign_objects.are_keys(told), "as restic writes it with --json"


def test_the_key_that_is_known_is_tried_before_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = founded(local_repository(tmp_path))
    keys = tmp_path / "repository/keys"
    (own,) = (path.name for path in keys.iterdir())
    repository.identity()
    put(keys, 3, DEAR)
    written_anew(keys, own)
    asked = reads(repository, monkeypatch)
    found = repository.runner.session.hint.keys()
    assert found.own == own
    assert next(iter(asked)) == f"keys/{own}"
    assert len(asked) <= 2


def reads(repository: ResticRepository, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read of its place from now on."""
    asked: list[str] = []
    place = repository.runner.session.place
    read = place.read

    def noted(name: str, most: int) -> bytes | None:
        asked.append(name)
        return read(name, most)

    monkeypatch.setattr(place, "read", noted)
    return asked


def test_an_unreadable_key_file_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an object in a bucket that was encrypted with a key of somebody's."""
    repository = founded(local_repository(tmp_path))
    keys = tmp_path / "repository/keys"
    (own,) = (path.name for path in keys.iterdir())
    (hidden,) = put(keys, 1, CHEAP)
    written_anew(keys, own)
    place = repository.runner.session.place
    read = place.read

    def refused(name: str, most: int) -> bytes | None:
        if name == f"keys/{hidden}":
            raise RepositoryError("access is denied")
        return read(name, most)

    monkeypatch.setattr(place, "read", refused)
    assert repository.runner.session.hint.keys().own == own
    (keys / own).rename(tmp_path / "own")
    put(keys, 2, CHEAP)
    error = foreign_objects.keys_error(
        repository.runner.session, repository.runner.session.hint.keys()
    )
    assert isinstance(error, ForeignObjects)
    assert f"keys/{hidden} cannot be tried (access is denied)" in error.message


def test_a_wrong_password_is_one_beside_more_keys_than_restic_tries(site: Site) -> None:
    put(keys_of(site), 30, CHEAP)
    site.secret("restic", "another")
    told = site.drd("backup", "shop", code=12)
    assert "the password does not open any of the 31 keys" in told.err


@pytest.mark.parametrize("cost", [*NO_SCRYPT, (10**4000, 8, 1), (10**2000, 10**2000, 10**2000)])
def test_numbers_that_scrypt_does_not_take_are_not_a_key(cost: tuple[int, int, int]) -> None:
    with pytest.raises(NoKey):
        key_file(foreign_key(0, *cost))


@pytest.mark.parametrize("cost", [(1 << 15, 8, 5), (1 << 17, 8, 1), (2, 1, 1), (1 << 15, 1, 1)])
def test_numbers_that_tools_choose_are_tried(cost: tuple[int, int, int]) -> None:
    """The healthy twin."""
    key = key_file(foreign_key(0, *cost))
    assert (key.n, key.r, key.p) == cost


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory
