import pytest

from art_disc.core.provenance import UNKNOWN, commit_of, git


@pytest.fixture
def checkout(tmp_path):
    """A repository with one committed file of the package."""
    (tmp_path / "art_disc").mkdir()
    (tmp_path / "art_disc" / "map.py").write_text("x = 1\n")
    for words in (
        ("init", "-q"),
        ("add", "."),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "one"),
    ):
        assert git(tmp_path, *words) is not None
    return tmp_path


def test_a_clean_checkout_is_named_by_its_commit_alone(checkout):
    head = git(checkout, "rev-parse", "HEAD").decode().strip()
    assert commit_of(checkout) == head
    (checkout / "docs.md").write_text("no code")
    assert commit_of(checkout) == head


@pytest.mark.parametrize("name", ["map.py", "new.py"])
def test_changes_make_it_dirty_and_tell_two_states_apart(checkout, name):
    head = commit_of(checkout)
    found = set()
    for value in (2, 3):
        (checkout / "art_disc" / name).write_text(f"x = {value}\n")
        found.add(commit_of(checkout))
    assert len(found) == 2
    assert all(text.startswith(f"{head}-dirty-") for text in found)


def test_a_folder_inside_another_repository_is_none_of_its_commits(checkout):
    inner = checkout / "site-packages"
    inner.mkdir()
    assert commit_of(inner) == UNKNOWN


def test_without_git_nothing_is_known(checkout, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert commit_of(checkout) == UNKNOWN


def test_a_hook_s_variables_do_not_lead_elsewhere(checkout, monkeypatch, tmp_path_factory):
    head = commit_of(checkout)
    monkeypatch.setenv("GIT_DIR", str(tmp_path_factory.mktemp("elsewhere")))
    assert commit_of(checkout) == head
