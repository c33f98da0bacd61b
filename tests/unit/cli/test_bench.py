"""What the bench prints of its timings."""

from harness.cli.bench import Timing, render


def test_ratios_are_of_pairs_and_what_is_no_start_is_listed_apart():
    ours = [Timing(110.0, 4.0, {}), Timing(100.0, 5.0, {"Evidence": 1.5})]
    by_hand = [Timing(100.0, 8.0, {}), Timing(100.0, 10.0, {})]
    lines = render(ours, by_hand).splitlines()
    assert lines[1].split() == ["1", "110.0s", "100.0s", "1.10"]
    assert "median ratio 1.05" in lines[3]
    assert lines[4] == "teardown 5.0s against 10.0s, median ratio 0.50 (at most 1.20)"
    assert lines[5] == "apart, last round: Evidence 1.5s"
