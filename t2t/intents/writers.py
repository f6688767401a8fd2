"""Which function writes the tasks of which intent."""

import random
from collections.abc import Callable, Mapping

from t2t.intents import ambiguous, changing, general, infeasible
from t2t.intents.scene import Scene
from t2t.records import Intent, Split, Task

WRITERS: Mapping[Intent, Callable[[Scene, Split, random.Random], Task]] = {
    Intent.GENERAL: general.write,
    Intent.AMBIGUOUS: ambiguous.write,
    Intent.CHANGING: changing.write,
    Intent.INFEASIBLE: infeasible.write,
}
"""Each turns a scene into a task of its intent, or raises `t2t.intents.scene.Unsuitable`."""
