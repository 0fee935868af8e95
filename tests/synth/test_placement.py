"""Spreading rights over policies, without AWS."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kinesis_stream_encryption._placement import Placement, Right

NAMES = st.lists(st.text("abcdef", min_size=1, max_size=6), unique=True, max_size=120)


def right(name: str, size: int = 10, key: str = "key") -> Right:
    return Right(name, ((f"stream/{name}", size), (key, 10)))


def place(names: list[str], *, policies: int = 4, room: int = 100) -> tuple[Placement, list[str]]:
    placement = Placement(policies=policies, room=room)
    return placement, [name for name in names if placement.add(right(name))]


def contents(placement: Placement) -> dict[int, list[str]]:
    return {number: [each.name for each in placement.rights(number)] for number in placement.used()}


def test_one_policy_while_it_has_room() -> None:
    placement, placed = place([str(number) for number in range(9)])
    assert len(placed) == 9
    assert placement.used() == [0]


def test_as_few_policies_as_fit() -> None:
    names = [f"stream-{number}" for number in range(20)]
    used = [len(place(names[:count])[0].used()) for count in range(1, 21)]
    assert used == sorted(used)
    assert used[8:10] == [1, 2]


def test_a_policy_that_all_rights_leave_is_not_used() -> None:
    placement, _ = place(["1"], room=20)
    assert placement.used() == [0]
    assert placement.add(right("3"))
    assert placement.used() == [1, 3]


def test_what_is_shared_takes_room_once() -> None:
    placement = Placement(policies=1, room=30)
    assert placement.add(right("a"))
    assert placement.add(right("b"))
    assert not placement.add(right("c", key="another"))


def test_what_does_not_fit_changes_nothing() -> None:
    placement, _ = place([str(number) for number in range(36)])
    before = contents(placement)
    assert not placement.add(right("another"))
    assert contents(placement) == before


@given(NAMES)
def test_each_right_is_in_one_policy_within_its_room(names: list[str]) -> None:
    placement, placed = place(names)
    found = [name for each in contents(placement).values() for name in each]
    assert sorted(found) == sorted(placed)
    assert all(len(each) * 10 + 10 <= 100 for each in contents(placement).values())


@given(NAMES)
def test_every_policy_is_full_before_anything_is_refused(names: list[str]) -> None:
    _, placed = place(names)
    assert len(placed) == min(len(names), 36)


@given(st.permutations([f"stream-{number}" for number in range(40)]))
def test_order_does_not_matter_while_there_may_be_more_policies(names: list[str]) -> None:
    placement, _ = place(names, policies=64)
    assert contents(placement) == contents(place(sorted(names), policies=64)[0])
    assert max(placement.used()) < 63


@given(NAMES, st.data())
def test_one_more_right_changes_as_many_policies_as_it_adds_or_one(
    names: list[str], data: st.DataObject
) -> None:
    """Whichever of the rights comes last."""
    last = data.draw(st.sampled_from(names or ["a"]))
    placement, _ = place([name for name in names if name != last], policies=1024)
    before = contents(placement)
    assert placement.add(right(last))
    after = contents(placement)

    changed = [number for number in before if after.get(number) != before[number]]
    added = max(after) - max(before, default=0)
    assert len(changed) <= max(added, 1)
    if not added:
        assert len(after) - len(before) + len(changed) == 1
    for number, each in after.items():
        if number <= max(before, default=0):
            assert set(each) <= {*before.get(number, []), last}
