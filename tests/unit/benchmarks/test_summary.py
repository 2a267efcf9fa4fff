"""What rounds come to: orders, medians, ratios within a round."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.summary import Cell, Key, best_by_round, by_round, keys, order, ratio, spread

NAMES = ["a", "b", "c", "d", "e", "f"]


def cell(contender: str, round_number: int, per_second: float, failed: int = 0) -> Cell:
    return {
        "contender": contender,
        "workload": "mlp",
        "connections": 64,
        "round": round_number,
        "per_second": per_second,
        "failed": failed,
    }


@given(st.integers(0, 50), st.integers(0, 50))
def test_every_contender_has_one_turn_in_a_round(round_number: int, seed: int) -> None:
    assert sorted(order(NAMES, round_number, seed)) == NAMES


def test_rounds_have_other_orders_and_the_same_seed_the_same_ones() -> None:
    orders = [order(NAMES, number, seed=1) for number in range(5)]
    assert len({tuple(each) for each in orders}) == 5
    assert orders == [order(NAMES, number, seed=1) for number in range(5)]
    assert orders != [order(NAMES, number, seed=2) for number in range(5)]


def test_a_round_that_was_slow_for_everybody_does_not_move_the_ratio() -> None:
    cells = [cell("ours", 0, 300), cell("theirs", 0, 100), cell("ours", 1, 30), cell("theirs", 1, 10)]
    measured = ratio(*(by_round(cells, Key(who, "mlp", 64), "per_second") for who in ("ours", "theirs")))
    assert measured is not None
    assert (measured.least, measured.median, measured.most, measured.rounds) == (3, 3, 3, 2)


def test_the_median_is_of_the_ratios_and_not_of_the_figures() -> None:
    ours, theirs = {0: 10.0, 1: 100.0, 2: 90.0}, {0: 1.0, 1: 50.0, 2: 90.0}
    measured = ratio(ours, theirs)
    assert measured is not None
    assert measured.median == 2.0


def test_only_rounds_that_both_have_are_compared() -> None:
    assert ratio({0: 1.0}, {1: 1.0}) is None
    measured = ratio({0: 4.0, 1: 9.0}, {0: 2.0})
    assert measured is not None
    assert measured.rounds == 1


def test_a_load_with_failed_answers_has_no_figure() -> None:
    cells = [cell("a", 0, 900, failed=1), cell("a", 1, 100)]
    assert by_round(cells, Key("a", "mlp", 64), "per_second") == {1: 100}


def test_of_several_peers_the_better_one_of_each_round_counts() -> None:
    both = [{0: 5.0, 1: 9.0}, {0: 7.0, 1: 2.0}]
    assert best_by_round(both, (0, 1), max) == {0: 7, 1: 9}
    assert best_by_round(both, (0, 1), min) == {0: 5, 1: 2}


def test_a_round_without_one_of_several_peers_gives_no_ratio() -> None:
    peers = [{0: 100.0, 1: 110.0}, {0: 90.0, 1: 80.0, 2: 60.0}]
    assert best_by_round(peers, (0, 1, 2), max) == {0: 100, 1: 110}


def test_where_no_round_has_all_peers_those_count_that_have_the_one_with_the_best_median() -> None:
    stronger, weaker = {0: 100.0, 1: 110.0}, {2: 90.0, 3: 80.0, 4: 70.0}
    assert best_by_round([weaker, stronger], range(5), max) == {0: 100, 1: 110}
    assert best_by_round([weaker, stronger], range(5), min) == {2: 90, 3: 80, 4: 70}
    # Only rounds of ours are left: those that have both peers are of no use where ours was disturbed.
    assert best_by_round([{0: 100.0, 1: 110.0}, {0: 90.0}], (1, 2), max) == {1: 110}


def test_a_peer_that_has_no_figure_of_any_round_is_not_waited_for() -> None:
    assert best_by_round([{}, {0: 3.0}], (0,), max) == {0: 3}
    assert best_by_round([{}, {}], (0,), max) == {}


def test_a_spread_tells_of_how_many_rounds_it_is() -> None:
    assert str(spread([0.99])) == "0.99, one round"
    assert str(spread([1.1, 0.9, 1.0])) == "1.00 (0.90-1.10), 3 rounds"


def test_every_line_is_listed_once() -> None:
    assert keys([cell("b", 0, 1), cell("a", 0, 1), cell("b", 1, 1)]) == [Key("b", "mlp", 64), Key("a", "mlp", 64)]


def test_loads_during_which_others_used_the_machine_do_not_count_whoever_they_are_of() -> None:
    cells = [cell("a", 0, 1.0) | {"other_cores": 0.6}, cell("a", 1, 2.0) | {"other_cores": 0.4}, cell("a", 2, 3.0)]
    assert by_round(cells, Key("a", "mlp", 64), "per_second") == {1: 2.0, 2: 3.0}
