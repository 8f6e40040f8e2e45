"""Campaign files, candidates, decisions and views of a screening campaign.

The public Python interface is `open_campaign`, `HullSet`, `screening_metrics`, `read_replay_data` and `compare`, with
the classes that they return (docs/reference/python.md).
"""

TYPE_CHECKING = False  # the constant of typing, without the time that importing typing takes

if TYPE_CHECKING:
    from campaign.api import CampaignResults as CampaignResults
    from campaign.api import open_campaign as open_campaign
    from campaign.hull.hull import HullSet as HullSet
    from campaign.metrics.metrics import Costs as Costs
    from campaign.metrics.metrics import Metrics as Metrics
    from campaign.metrics.metrics import screening_metrics as screening_metrics
    from campaign.replay.candidate import KnownCandidate as KnownCandidate
    from campaign.replay.comparison import Comparison as Comparison
    from campaign.replay.comparison import compare as compare
    from campaign.replay.data import ReplayData as ReplayData
    from campaign.replay.read import read_replay_data as read_replay_data
    from campaign.replay.result import Replay as Replay

    __version__: str
else:
    from esnet import lazy_names

    # resolved lazily: importing a submodule does not import the others
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "open_campaign": "campaign.api",
            "CampaignResults": "campaign.api",
            "HullSet": "campaign.hull.hull",
            "screening_metrics": "campaign.metrics.metrics",
            "Metrics": "campaign.metrics.metrics",
            "Costs": "campaign.metrics.metrics",
            "read_replay_data": "campaign.replay.read",
            "ReplayData": "campaign.replay.data",
            "KnownCandidate": "campaign.replay.candidate",
            "compare": "campaign.replay.comparison",
            "Comparison": "campaign.replay.comparison",
            "Replay": "campaign.replay.result",
        },
    )
