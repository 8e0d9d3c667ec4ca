"""`art-disc report` says which records have a page."""

from art_disc.cli.main import main
from art_disc.core.records.base import Environment
from art_disc.core.records.draws import DrawsRecord


def test_a_record_without_a_page_is_named(tmp_path, capsys):
    here = Environment("2026-01-01T00:00:00+00:00", "1", "3.11", "linux", {})
    record = DrawsRecord(2, (1,), (True,), (True,), 0, (), here)
    record.save(tmp_path / "record.json")
    assert main(["report", str(tmp_path)]) == 2
    told = capsys.readouterr().err
    assert "is a record of kind 'scored draws', which has no page; kinds with one are " in told
    assert "evaluation, certificate, divergence certificate, certified curve, sweep" in told
    assert not (tmp_path / "report.html").exists()
