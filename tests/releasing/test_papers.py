from __future__ import annotations

import hashlib

from papers import VENDOR, describe_file, read_vendor, write_licences, write_sums
from source import ROOT


def test_the_bill_names_a_file_of_others_by_package_version_licence_and_hash():
    facts = {"package": "@picocss/pico", "version": "2.1.1", "licence": "MIT", "sha256": "ab" * 32}
    described = describe_file("pico.min.css", facts)
    assert described["purl"] == "pkg:npm/%40picocss/pico@2.1.1"
    assert described["licenses"] == [{"license": {"id": "MIT"}}]
    assert described["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]


def test_the_licences_hold_every_text_once_and_name_every_file(tmp_path):
    write_licences(ROOT, tmp_path / "licences")
    written = (tmp_path / "licences").read_text()
    for name, facts in read_vendor(ROOT).items():
        assert str(VENDOR / name) in written
        assert written.count((ROOT / VENDOR / facts["licence_file"]).read_text().strip()) == 1


def test_the_sums_are_those_that_sha256sum_checks(tmp_path):
    for name in ("a.whl", "b.tar.gz"):
        (tmp_path / name).write_text(name)
    write_sums(tmp_path)
    assert (tmp_path / "SHA256SUMS").read_text().splitlines() == [
        f"{hashlib.sha256(name.encode()).hexdigest()}  {name}" for name in ("a.whl", "b.tar.gz")
    ]
