from presize.core.redefined import defined_twice

found: list[bool] = []


class Watched:
    def __init_subclass__(cls) -> None:
        found.append(defined_twice(cls, "act"))


class WatchedToo(Watched):
    def __init_subclass__(cls) -> None:
        super().__init_subclass__()

    def act(self) -> int:
        return 0


def test_a_method_that_a_class_body_defines_twice_is_noticed() -> None:
    found.clear()

    class Once(Watched):
        def act(self) -> int:
            return 1

    class Twice(WatchedToo):
        def act(self) -> int:
            return 1

        def act(self) -> int:  # type: ignore[no-redef]  # noqa: F811 - the point of the test
            return 2

    type("Made", (Watched,), {"act": lambda self: 1})
    assert found == [False, True, False]
