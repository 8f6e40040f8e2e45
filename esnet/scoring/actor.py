"""Ray actor that scores candidates with a bundle."""

import gc
import logging
import threading

from esnet.bundle.bundle import Bundle
from esnet.files.garbage_collection import no_garbage_collection
from esnet.scoring.batch import ReadFeatures, ScoringError, predict_batch, read_batch
from esnet.scoring.pool import Answer
from esnet.scoring.pool_actor import PoolActor

logger = logging.getLogger(__name__)


class ScoringActor(PoolActor):
    """Ray actor that scores with one thread per batch; the bundle must have the given ``checksum``."""

    def __init__(
        self, name: str, bundle_path: str, checksum: str, read_features: ReadFeatures, batch_size: int
    ) -> None:
        super().__init__(name)
        self._bundle_path, self._checksum = bundle_path, checksum
        self._read_features = read_features
        self._batch_size = batch_size
        self._scored = 0
        self._reading, self._predicting = threading.Lock(), threading.Lock()

    def ready(self) -> Answer:
        """Load the model before anything is scored."""
        # imports TensorFlow, which takes a third less time without garbage collection
        with no_garbage_collection():
            # whether it may predict residuals was decided where scoring started
            self._bundle = Bundle.load(self._bundle_path, residual=True)
        gc.freeze()  # lets later collections skip these permanent objects
        if self._bundle.checksum != self._checksum:
            raise ScoringError(
                f"{self._bundle_path} has checksum {self._bundle.checksum} here and {self._checksum} where scoring "
                "started"
            )
        return self._answer([])

    def score(self, ids: list[str]) -> Answer:
        """Read the features of a batch and predict the energies."""
        with self._reading:
            batch = read_batch(ids, bundle=self._bundle, read_features=self._read_features)
        with self._predicting:
            answer = self._answer(predict_batch(batch, bundle=self._bundle, batch_size=self._batch_size))
            self._scored += len(ids)
            logger.info("%s: %d candidates scored, %.0f s since the start", self._title, self._scored, answer.wall_s)
        return answer
