"""What the services of the stack are given, before any of them is started."""

from pathlib import Path

from stack.services import ray_scratch


def test_scratch_of_ray_is_the_same_each_time_for_one_owner_alone_and_as_short_for_a_deep_home() -> None:
    home, deep = Path("/home"), Path("/home", *["a-directory-with-a-long-name"] * 9)
    assert ray_scratch("stack", home) == ray_scratch("stack", home)
    assert len({ray_scratch("stack", home), ray_scratch("pipeline", home), ray_scratch("stack", deep)}) == 3
    assert len(str(ray_scratch("stack", deep))) == len(str(ray_scratch("stack", home)))
