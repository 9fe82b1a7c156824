import psutil
import pytest

from arena.room import read_gpu, room


def test_the_room_is_what_the_system_can_give():
    found = room()
    assert 0 < found.free <= found.total
    if not found.on_gpu:
        assert found.total <= psutil.virtual_memory().total
        assert found.words == "memory"


def test_the_first_gpu_counts():
    found = read_gpu("20480, 24564\n100, 24564\n")
    assert (found.free, found.total, found.on_gpu) == (20480 * 2**20, 24564 * 2**20, True)
    assert found.words == "GPU memory"


@pytest.mark.parametrize("said", ["", "No devices were found\n", "[N/A], [N/A]\n"])
def test_a_driver_that_tells_nothing_is_no_gpu(said):
    assert read_gpu(said) is None
