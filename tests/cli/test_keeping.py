from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest
from filelock import FileLock
from PIL import Image

from featmatch import Index, Vocabulary
from featmatch.images.addresses import Fetching
from tests.cli.conftest import Photos, Run
from tests.iiif_server import HOST, canvas, iiif_server, info, manifest


def test_add_makes_an_index_and_skips_what_is_there(
    run: Run, pictures: dict[str, Path], vocabulary_file: Path, tmp_path: Path
) -> None:
    target = tmp_path / "new.fm"
    first = run(
        "add", target, pictures["collection"], "--vocabulary", vocabulary_file, "--jobs", "1", "--text", "hello"
    )
    assert (first.status, first.out) == (0, "")
    assert "added 3, skipped 0, failed 0" in first.err
    again = run("add", target, pictures["collection"], "--jobs", "1")
    assert (again.status, again.out) == (0, "")
    assert "added 0, skipped 3, failed 0" in again.err
    assert [record.text for record in Index.open(target).images()] == ["hello"] * 3


def test_add_reports_unreadable_images_and_goes_on(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    ended = run("add", own_index, pictures["text"], pictures["missing"], pictures["blank"], pictures["coins"])
    assert (ended.status, ended.out) == (2, "")
    for name, status in (("text", "decode_failed"), ("missing", "not_found"), ("blank", "too_little_detail")):
        assert any(str(pictures[name]) in line and status in line for line in ended.err.splitlines())
    assert "added 1, skipped 0, failed 3" in ended.err
    assert len(Index.open(own_index)) == 2


def test_add_is_content_with_a_folder_that_holds_a_bad_image_too(
    run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "bad.jpg").write_text("no image")
    (tmp_path / "mixed" / "good.png").write_bytes(pictures["coins"].read_bytes())
    ended = run("add", own_index, tmp_path / "mixed")
    assert ended.status == 0
    assert "bad.jpg: decode_failed" in ended.err


def test_add_refuses_another_vocabulary_or_other_features(
    run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path
) -> None:
    assert run("add", own_index, pictures["coins"], "--features", "orb").status == 2
    assert run("add", own_index, pictures["coins"], "--vocabulary", pictures["text"]).status == 2
    assert run("add", tmp_path / "fresh.fm", pictures["coins"], "--vocabulary", pictures["missing"]).status == 2
    assert not (tmp_path / "fresh.fm").exists()
    assert len(Index.open(own_index)) == 1


def test_add_prunes_what_vanished(run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("coins", "astronaut"):
        (tmp_path / "photos" / f"{name}.png").write_bytes(pictures[name].read_bytes())
    assert run("add", own_index, tmp_path / "photos", "--jobs", "1").status == 0
    (tmp_path / "photos" / "coins.png").unlink()
    assert "added 0, skipped 1, failed 0\n" in run("add", own_index, tmp_path / "photos", "--jobs", "1").err
    ended = run("add", own_index, tmp_path / "photos", "--jobs", "1", "--prune")
    assert ended.status == 0
    assert f"{tmp_path / 'photos' / 'coins.png'}: vanished" in ended.err
    assert "added 0, skipped 1, failed 0, vanished 1" in ended.err
    assert len(Index.open(own_index)) == 2


def test_add_takes_all_pages_when_asked(run: Run, own_index: Path, pictures: dict[str, Path], tmp_path: Path) -> None:
    scan = tmp_path / "scan.tif"
    pages = [Image.open(pictures[name]).convert("RGB") for name in ("astronaut", "stranger")]
    pages[0].save(scan, save_all=True, append_images=pages[1:])
    ended = run("add", own_index, scan, "--pages")
    assert (ended.status, ended.err) == (0, "added 2, skipped 0, failed 0\n")
    assert run("query", own_index, pictures["stranger"], "--json").lines()[0]["matches"][0]["name"] == f"{scan}#page=2"
    assert run("remove", own_index, f"{scan}#page=2").status == 0


def test_add_gives_up_on_an_image_after_the_timeout(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    ended = run("add", own_index, pictures["coins"], "--timeout", "0.001")
    assert ended.status == 2
    assert "decode_failed: took more than 0.001 seconds" in ended.err
    assert run("add", own_index, pictures["coins"], "--timeout", "0").status == 2
    assert run("add", own_index, pictures["coins"]).status == 0


def test_a_collection_with_a_root_can_be_moved(
    run: Run, pictures: dict[str, Path], vocabulary_file: Path, tmp_path: Path
) -> None:
    index, photos, moved = tmp_path / "index", tmp_path / "photos", tmp_path / "moved"
    photos.mkdir()
    (photos / "cat.png").write_bytes(pictures["chelsea"].read_bytes())
    added = run("add", index, photos, "--root", photos, "--vocabulary", vocabulary_file, "--jobs", "1")
    assert added.status == 0
    assert run("list", index).out == "cat.png\n"
    photos.rename(moved)
    lost = run("query", index, pictures["crop"], "--draw", tmp_path / "drawn")
    assert "cannot draw cat.png" in lost.err
    found = run("query", index, pictures["crop"], "--draw", tmp_path / "drawn", "--root", moved, "--json")
    assert [match["name"] for match in found.lines()[0]["matches"]] == ["cat.png"]
    assert len(list((tmp_path / "drawn").iterdir())) == 1
    assert run("add", index, moved, "--jobs", "1").status == 2  # not below the root that it knows
    assert "skipped 1" in run("add", index, moved, "--root", moved, "--jobs", "1").err
    assert str(moved) in run("info", index).out
    assert run("query", index, pictures["crop"], "--draw", tmp_path / "drawn").err.startswith("drawn: ")


def test_remove_takes_images_out_and_says_what_was_not_there(
    run: Run, own_index: Path, pictures: dict[str, Path]
) -> None:
    ended = run("remove", own_index, pictures["chelsea"], "never there.png")
    assert (ended.status, ended.out) == (0, "")
    assert "never there.png: not in the index" in ended.err
    assert "removed 1" in ended.err
    assert len(Index.open(own_index)) == 0
    assert pictures["chelsea"].is_file()
    assert run("remove", own_index, pictures["chelsea"]).status == 1


def test_list_prints_names_in_the_order_of_addition(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    names = [str(pictures[name]) for name in ("astronaut", "chelsea", "coins")]
    listed = run("list", index)
    assert (listed.status, listed.err) == (0, "")
    assert listed.out.splitlines() == names
    assert [line["name"] for line in run("list", index, "--json").lines()] == names


def test_list_and_query_are_restricted_by_match(run: Run, index: Path, pictures: dict[str, Path]) -> None:
    listed = run("list", index, "--match", "CHEL collection")
    assert (listed.status, listed.out) == (0, f"{pictures['chelsea']}\n")
    assert run("list", index, "--match", "no-such-thing").status == 1
    assert run("list", index, "--match", '"').status == 2
    (record,) = run("list", index, "--match", "chelsea", "--json").lines()
    assert (record["format"], record["taken"], record["camera"], record["caption"]) == ("PNG", None, None, None)
    found = run("query", index, pictures["crop"], "--match", "chelsea", "--json")
    assert [match["name"] for match in found.lines()[0]["matches"]] == [str(pictures["chelsea"])]
    assert run("query", index, pictures["crop"], "--match", "astronaut").status == 1
    assert run("query", index, pictures["crop"], "--match", "☃").status == 2


def test_list_of_an_empty_index_is_nothing_found(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    run("remove", own_index, pictures["chelsea"])
    listed = run("list", own_index)
    assert (listed.status, listed.out) == (1, "")


def test_info_tells_numbers(run: Run, index: Path, tiny_vocabulary: Vocabulary) -> None:
    plain = run("info", index)
    assert (plain.status, plain.err) == (0, "")
    (found,) = run("info", index, "--json").lines()
    assert (found["images"], found["segments"], found["detector"]) == (3, 1, "sift")
    assert found["words"] == len(tiny_vocabulary)
    for name, value in found.items():
        shown = "-" if value is None else str(value)
        assert any(
            name in line and (shown in line.replace(",", "") or name.endswith("bytes"))
            for line in plain.out.splitlines()
        )


def test_add_keeps_small_pictures_unless_told_otherwise_and_remembers(
    run: Run, own_index: Path, pictures: dict[str, Path]
) -> None:
    kept = []
    for name, *option in (("coins",), ("crop", "--no-pictures"), ("astronaut",), ("stranger", "--pictures")):
        assert run("add", own_index, pictures[name], "--jobs", "1", *option).status == 0
        (found,) = run("info", own_index, "--json").lines()
        kept.append(found["pictures"])
    assert kept == [2, 2, 2, 3]  # one was there before


def test_compact_says_what_it_did(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    run("add", own_index, pictures["coins"], "--jobs", "1")
    run("remove", own_index, pictures["chelsea"])
    ended = run("compact", own_index)
    assert (ended.status, ended.out) == (0, "")
    assert "segments 2 -> 1" in ended.err
    assert "removed images 1 -> 0" in ended.err
    assert run("query", own_index, pictures["coins"]).status == 0


def test_check_names_what_is_wrong_and_repairs_it(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    clean = run("check", own_index)
    assert (clean.status, clean.out, clean.err) == (0, "", "featmatch: clean\n")
    column = own_index / "segments" / "000001" / "size.npy"
    column.write_bytes(column.read_bytes()[:-1] + b"\xff")
    (own_index / "segments" / "000007").mkdir()
    wrong = run("check", own_index)
    assert wrong.status == 1
    assert "size.npy is not as it was written" in wrong.out
    assert "000007" in wrong.err
    repaired = run("check", own_index, "--repair")
    assert repaired.status == 0
    assert "size.npy is not as it was written" in repaired.out
    assert "took segment 000001 out" in repaired.err
    assert "1 image to be added again" in repaired.err
    assert "queued        1" in run("info", own_index).out
    assert "added 1" in run("add", own_index, pictures["chelsea"]).err
    assert run("check", own_index).err == "featmatch: clean\n"


def test_a_second_writer_is_refused_at_once_or_waits(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    lock = FileLock(own_index / "writer.lock")
    commands = (["add", pictures["coins"]], ["remove", pictures["coins"]], ["compact"], ["check", "--repair"])
    with lock:
        for command, *arguments in commands:
            ended = run(command, own_index, *arguments)
            assert ended.status == 2
            assert "is being written to by another process" in ended.err
    for command, *arguments in commands:
        held, enough = threading.Event(), threading.Event()

        def hold(held: threading.Event = held, enough: threading.Event = enough) -> None:
            with lock:
                held.set()
                enough.wait()

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait()
        threading.Timer(0.05, enough.set).start()
        assert run(command, own_index, *arguments, "--wait").status == 0
        assert enough.is_set()
        holder.join()


@pytest.mark.parametrize("command", ["reject", "accept"])
def test_a_verdict_is_kept_and_taken_back(run: Run, own_index: Path, pictures: dict[str, Path], command: str) -> None:
    pair = own_index, pictures["crop"], pictures["chelsea"]

    def verdict() -> str | None:
        (line,) = run("query", own_index, pictures["crop"], "--all", "--json").lines()
        return line["matches"][0]["verdict"]  # type: ignore[no-any-return]

    assert verdict() is None
    assert run(command, *pair) == (0, "", "")
    assert verdict() == f"{command}ed"
    assert run(command, *pair, "--clear") == (0, "", "")
    assert run(command, *pair, "--clear") == (1, "", "")
    assert verdict() is None
    assert run(command, own_index, "never there.png", pictures["chelsea"]).status == 2


def test_check_tells_strangers_and_leftovers_apart(run: Run, own_index: Path) -> None:
    (own_index / "diary.txt").touch()
    (own_index / "segments" / "000007").mkdir()
    ended = run("check", own_index)
    assert (ended.status, ended.out) == (0, "")
    leftover, stranger, end = ended.err.splitlines()
    assert leftover.endswith("000007: left by an interrupted (or running) writer; harmless")
    assert stranger.endswith("diary.txt: not part of an index; left alone")
    assert end == "featmatch: clean"
    repaired = run("check", own_index, "--repair").err.splitlines()
    assert [line for line in repaired if "harmless" in line] == []


def test_check_counts_problems(run: Run, own_index: Path) -> None:
    columns = [own_index / "segments" / "000001" / name for name in ("size.npy", "angle.npy")]
    for number, column in enumerate(columns, 1):
        column.write_bytes(column.read_bytes()[:-1] + b"?")
        ended = run("check", own_index)
        assert ended.status == 1
        assert len(ended.out.splitlines()) == number
        assert ended.err.splitlines()[-1] == ("featmatch: 1 problem" if number == 1 else "featmatch: 2 problems")


def test_add_tells_as_much_as_is_asked_for(run: Run, own_index: Path, pictures: dict[str, Path]) -> None:
    coins, chelsea, text = (str(pictures[name]) for name in ("coins", "chelsea", "text"))
    ended = run("add", own_index, coins, chelsea, text, "--json", "-q")
    (line,) = ended.lines()
    assert line == {
        "added": [coins], "skipped": [chelsea], "vanished": [], "damaged": [],
        "failed": [{"name": text, "status": "decode_failed", "message": "not an image, or of an unknown format"}],
    }  # fmt: skip
    assert (ended.status, ended.err.count("\n"), f"{text}: decode_failed" in ended.err) == (2, 1, True)
    assert run("add", own_index, coins, "-q")[1:] == ("", "")
    ended = run("add", own_index, coins, pictures["astronaut"], "-v")
    assert ended.err.splitlines() == [
        f"{pictures['astronaut']}: added", f"{coins}: skipped", "added 1, skipped 1, failed 0",
    ]  # fmt: skip


def test_folders_and_patterns_are_removed(
    run: Run, tiny_vocabulary: Vocabulary, pictures: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a/1.png", "a/b/2.png", "ab/3.png", "c [x].png", "c x.png", "日本.png"]
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.open(pictures["coins"]).crop((number, 0, 200, 200)).save(name)
    Index.open("i.fm", create=True, vocabulary=tiny_vocabulary).add(names, jobs=1)

    def left() -> list[str]:
        return run("list", "i.fm").out.splitlines()

    assert run("remove", "i.fm", "c [x].png").err == "removed 1\n"  # a name comes first
    assert left() == [name for name in names if name != "c [x].png"]
    assert run("remove", "i.fm", "c [x].png").err == "removed 1\n"
    assert "c x.png" not in left()
    assert run("remove", "i.fm", "--under", "a", "--under", "none").err == (
        "featmatch: --under none: not in the index\nremoved 2\n"
    )
    assert left() == ["ab/3.png", "日本.png"]
    monkeypatch.chdir(tmp_path / "ab")
    assert run("remove", tmp_path / "i.fm", "*.jpg").status == 1
    assert run("remove", tmp_path / "i.fm", tmp_path / "?b/*.png").err == "removed 1\n"
    assert run("remove", tmp_path / "i.fm", "--under", "..").status == 0
    assert run("list", tmp_path / "i.fm").out == ""
    assert run("remove", tmp_path / "i.fm").status == 2


def test_info_is_for_people(
    run: Run, own_index: Path, pictures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("remove", own_index, pictures["chelsea"])
    lines = run("info", own_index).out.splitlines()
    assert lines[0] == "images        0"
    assert "removed       1  (take room until `featmatch compact`)" in lines
    assert "queued        0" in lines
    assert "root          -" in lines
    assert next(line for line in lines if line.startswith("bytes ")).endswith(("kB", "MB"))
    told = dataclasses.replace(Index.open(own_index).info(), queued=1234, bytes=1_240_000_000, base="/a\nb")
    monkeypatch.setattr(Index, "info", lambda index: told)
    said = run("info", own_index).out
    assert "queued        1,234  (their features were lost: `featmatch add` their files again)\n" in said
    assert "bytes         1.2 GB\n" in said
    assert 'base          "/a\\012b"  (relative names are relative to it)\n' in said


def test_add_takes_pictures_from_elsewhere_beside_files(
    run: Run, own_index: Path, pictures: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fetching, "fetch", lambda self, url: pictures["astronaut"].read_bytes())
    url = "https://a.example/astronaut"
    (line,) = run("add", own_index, pictures["coins"], url, pictures["chelsea"], "--json").lines()
    assert (line["added"], line["skipped"]) == ([str(pictures["coins"]), url], [str(pictures["chelsea"])])
    assert "added 0, skipped 1, failed 0" in run("add", own_index, url).err
    monkeypatch.undo()
    ended = run("add", own_index, "http://127.0.0.1/a.png")
    assert (ended.status, "http://127.0.0.1/a.png: not_found: refused" in ended.err) == (2, True)


def test_a_manifest_is_added_from_its_address_and_answers_tell_the_region(
    run: Run, photos: Photos, vocabulary_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch, picture = Fetching.fetch, Image.fromarray(photos["coffee"])
    picture.crop((200, 100, 500, 300)).save(tmp_path / "part.png")
    with iiif_server() as server:
        server.pictures["coffee"], server.infos["coffee"] = picture, info("coffee", picture.size)
        server.files["/book"] = manifest(canvas("coffee", {"en": ["page 1"]}, picture.size))
        monkeypatch.setattr(Fetching, "fetch", lambda self, url: fetch(server.reached_by(self), url))
        made = run("add", tmp_path / "i.fm", f"{HOST}/book", "--vocabulary", vocabulary_file, "--jobs", 1)
        assert made == (0, "", "added 1, skipped 0, failed 0\n")
        assert run("add", tmp_path / "i.fm", f"{HOST}/none.json").status == 2
        assert "added 0, skipped 1, failed 0" in run("add", tmp_path / "i.fm", f"{HOST}/book").err
    (told,) = run("query", tmp_path / "i.fm", tmp_path / "part.png", "--json").lines()
    iiif = told["matches"][0]["iiif"]
    assert (iiif["canvas"], iiif["label"]) == (f"{HOST}/canvas/coffee", "page 1")
    assert run("query", tmp_path / "i.fm", tmp_path / "part.png").out.endswith(f"\n    {iiif['region']}\n")
