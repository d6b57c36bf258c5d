"""
The day that the demo plays: what was there before it, its steady part, and a rush at its end.

Pure: the same setting, size and seed give the same records, byte for byte.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from streams.demo.acts import Act, Setting
from streams.demo.eve import eve_of
from streams.demo.people import People, people_of
from streams.demo.programme import DECLINED, ORDINARY, REPLIED, SCENES, Scene
from streams.demo.scenes import THE_CASE, Cast
from streams.records.record import Record

FEWEST_REQUESTS = 200
"""Below this the scenes, of which each is played at least once, would leave no ordinary traffic."""

MOST_REQUESTS = 300_000
"""A run has numbers for 100,000 people; with so many requests 68,000 take part."""

_REQUESTS_A_PERSON = 5


@dataclass(frozen=True, slots=True, repr=False)
class Day(Record):
    """
    One day. ``eve`` lies in Kafka before the first request; ``steady`` comes at an even pace, for
    latencies; ``rush`` comes as fast as Kafka takes it, for the rate.
    """

    SHOWN: ClassVar[tuple[str, ...]] = ("case_id",)

    people: People
    eve: tuple[Act, ...]
    steady: tuple[Act, ...]
    rush: tuple[Act, ...]
    case_id: str

    def acts(self) -> list[Act]:
        """Give everything in order."""
        return [*self.eve, *self.steady, *self.rush]


def day_of(setting: Setting, requests: int, seed: int = 1) -> Day:
    """Write a day of so many requests; half of them, the case too, are in its steady part."""
    if not FEWEST_REQUESTS <= requests <= MOST_REQUESTS:
        raise ValueError(f"a day has {FEWEST_REQUESTS} to {MOST_REQUESTS} requests")
    rng = Random(seed)  # noqa: S311 - a day that is the same each time, nothing secret
    replies = _times(REPLIED, requests)
    people = people_of(
        setting.run,
        requests // _REQUESTS_A_PERSON,
        about_to_decline=_times(DECLINED, requests),
        about_to_reply=replies,
    )
    cast = Cast(setting, people, rng)
    eve = eve_of(setting, people, rng)
    scenes = [scene for scene in SCENES for _ in range(_times(scene, requests))]
    scenes += [ORDINARY] * (requests - 1 - replies - len(scenes))
    rng.shuffle(scenes)
    half = requests // 2 - replies
    by_day = [*scenes[:half], *[REPLIED] * replies]
    rng.shuffle(by_day)
    steady = [act for scene in by_day for act in scene.write(cast)]
    steady[len(steady) // 2 : len(steady) // 2] = cast.the_case()
    rush = [act for scene in scenes[half:] for act in scene.write(cast)]
    return Day(people, tuple(eve), tuple(steady), tuple(rush), setting.named(THE_CASE))


def _times(scene: Scene, requests: int) -> int:
    return max(1, scene.out_of_10_000 * requests // 10_000)
