import pytest

from presize.callbacks.recorder import Recorder
from presize.core.errors import TrainingError


def test_there_is_no_last_record_before_a_fit():
    with pytest.raises(TrainingError, match="this learner has not trained. Call fit"):
        Recorder().final_record()
