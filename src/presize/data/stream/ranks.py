"""Which of several training processes this one is; written in `presize.core.ranks`."""

from presize.core.ranks import Rank as Rank
from presize.core.ranks import current_rank as current_rank
