"""Provider keys sealed by other people's libsodium, submitted in the founding form."""

import hashlib
import base64

import pytest
from nacl.public import PrivateKey

from harness import random_key, seal_with_libsodium_js, seal_with_pynacl

SEALERS = pytest.mark.parametrize("seal", [seal_with_pynacl, seal_with_libsodium_js], ids=["pynacl", "libsodium-wrappers"])


def code(answer):
    assert answer.headers["content-type"].startswith("application/problem+json"), answer.text
    return answer.status_code, answer.json()["code"]


def stored(tenant):
    answer = tenant.get("/v1/byok/keys")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


@SEALERS
def test_a_sealed_key_is_accepted_probed_and_stored(tenant, mock, keys, seal):
    mark = mock.mark()
    answer = tenant.submit("openai", keys.openai, seal)
    assert answer.is_success, answer.text
    assert keys.openai not in answer.text
    [probe] = mock.requests(mark)
    assert dict(probe["headers"])["authorization"] == f"Bearer {keys.openai}"
    assert len(stored(tenant)) == 1


@SEALERS
def test_a_key_that_the_provider_refuses_is_not_stored(tenant, keys, seal):
    answer = tenant.submit("openai", keys.wrong, seal)
    assert code(answer) == (422, "probe_failed")
    assert answer.json()["details"]["reason"] == "invalid_key"
    assert keys.wrong not in answer.text
    assert stored(tenant) == []


def test_the_id_of_the_sealing_key_can_be_recomputed(tenant):
    kek_id, public_key = tenant.sealing_key()
    digest = hashlib.sha256(b"keybearer-seal-v1" + base64.b64decode(public_key)).digest()
    assert kek_id == digest[:16].hex()


def test_a_stale_sealing_key_is_named_with_the_current_one(tenant, keys):
    answer = tenant.submit("openai", keys.openai, kek_id="0" * 32)
    assert code(answer) == (409, "stale_kek")
    assert answer.json()["details"]["kek_id"] == tenant.sealing_key()[0]
    assert stored(tenant) == []


def test_a_box_for_another_key_pair_does_not_open(tenant, keys):
    other = base64.b64encode(bytes(PrivateKey.generate().public_key)).decode()
    answer = tenant.submit("openai", keys.openai, lambda _current, key: seal_with_pynacl(other, key))
    assert code(answer) == (422, "invalid_sealed_box")
    assert stored(tenant) == []


def test_a_box_is_accepted_once(tenant, app, keys):
    boxes = []

    def seal(public_key, key):
        boxes.append(seal_with_pynacl(public_key, key))
        return boxes[-1]

    assert tenant.submit("openai", keys.openai, seal).is_success
    other = app.tenant()
    again = other.submit("openai", keys.openai, lambda _public_key, _key: boxes[-1])
    assert code(again) == (422, "invalid_sealed_box")
    assert stored(other) == []


def test_an_unknown_provider_is_refused_with_a_suggestion(tenant):
    answer = tenant.submit("opnai", random_key("sk-proj-"))
    assert code(answer) == (400, "unknown_provider")
    assert answer.json()["details"]["suggestion"] == "openai"
