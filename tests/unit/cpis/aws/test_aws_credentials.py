"""Where keys come from, and that those of a role are renewed in time."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cpis.aws.credentials import REFRESH_BEFORE_S, CredentialsSource, credentials_source
from cpis.aws.properties import read_settings
from cpis.contract import CloudError

NOW = 1_800_000_000.0


class Imds(BaseHTTPRequestHandler):
    """The metadata service: answers only who shows the token it gave."""

    lives_s: ClassVar[float] = 3600.0
    given: ClassVar[int] = 0
    broken: ClassVar[bool] = False

    def do_PUT(self) -> None:
        if self.path != "/latest/api/token":
            return self.send_error(404)
        seconds = self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
        return self._answer("token-1") if seconds else self.send_error(400)

    def do_GET(self) -> None:
        if self.headers["X-aws-ec2-metadata-token"] != "token-1" or Imds.broken:
            return self.send_error(401)
        if self.path == "/latest/meta-data/iam/security-credentials/":
            return self._answer("director-role")
        assert self.path == "/latest/meta-data/iam/security-credentials/director-role"
        Imds.given += 1
        ends = datetime.fromtimestamp(NOW + Imds.lives_s * Imds.given, UTC)
        return self._answer(
            json.dumps(
                {
                    "AccessKeyId": f"ASIA{Imds.given}",
                    "SecretAccessKey": "role-secret",
                    "Token": "role-token",
                    "Expiration": ends.strftime("%Y-%m-%dT%H:%M:%SZ"),
                }
            )
        )

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def imds() -> Iterator[str]:
    Imds.given, Imds.broken = 0, False
    server = ThreadingHTTPServer(("127.0.0.1", 0), Imds)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def source(env: dict[str, str], home: Path, now: float = NOW, **more: str) -> CredentialsSource:
    settings = read_settings(
        {"region": "eu-west-1", "credentials_source": "env_or_profile", **more}
    )
    return credentials_source(settings, env, home, lambda: now)


def test_static_keys_are_as_given(tmp_path: Path) -> None:
    keys = {"access_key_id": "AK", "secret_access_key": "SK", "session_token": "ST"}
    found = source({}, tmp_path, credentials_source="static", **keys).current()
    assert (found.access_key_id, found.secret_access_key, found.session_token) == ("AK", "SK", "ST")
    assert "SK" not in repr(found)
    assert "ST" not in repr(found)


def test_the_environment_comes_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".aws" / "credentials"
    file.parent.mkdir()
    file.write_text(
        "[default]\naws_access_key_id = D\naws_secret_access_key = x\n"
        "[other]\naws_access_key_id = O\naws_secret_access_key = %y\naws_session_token = t\n"
        "[empty]\n"
    )
    env = {"AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "s"}
    assert source(env, tmp_path).current().access_key_id == "E"
    assert source({}, tmp_path).current().access_key_id == "D"
    assert source({"AWS_PROFILE": "other"}, tmp_path).current().secret_access_key == "%y"
    assert source({}, tmp_path, profile="other").current().session_token == "t"
    elsewhere = {"AWS_SHARED_CREDENTIALS_FILE": str(file)}
    assert source(elsewhere, tmp_path / "nobody").current().access_key_id == "D"
    with pytest.raises(CloudError, match="no profile 'nobody'"):
        source({}, tmp_path, profile="nobody").current()
    with pytest.raises(CloudError, match="lacks keys"):
        source({}, tmp_path, profile="empty").current()
    file.write_text("aws_secret_access_key = secret-without-section\n")
    with pytest.raises(CloudError) as caught:
        source({}, tmp_path).current()
    assert "secret-without-section" not in str(caught.value)


def test_a_role_is_asked_with_a_token_and_again_before_its_keys_end(
    imds: str, tmp_path: Path
) -> None:
    now = [NOW]
    settings = read_settings({"region": "r", "credentials_source": "instance_profile"})
    env = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds}
    keys = credentials_source(settings, env, tmp_path, lambda: now[0])
    first = keys.current()
    assert (first.access_key_id, first.session_token) == ("ASIA1", "role-token")
    now[0] += Imds.lives_s - REFRESH_BEFORE_S - 1
    assert keys.current() is first
    now[0] += 2
    assert keys.current().access_key_id == "ASIA2"
    # A metadata service that is away for a while does no harm until the keys have ended.
    Imds.broken = True
    now[0] = NOW + 2 * Imds.lives_s - 10
    assert keys.current().access_key_id == "ASIA2"
    now[0] += 20
    with pytest.raises(CloudError, match="no AWS credentials"):
        keys.current()


def test_a_role_is_the_last_place(imds: str, tmp_path: Path) -> None:
    env = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": imds}
    assert source(env, tmp_path).current().access_key_id == "ASIA1"
