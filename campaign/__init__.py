"""What to screen, and every decision about it: the campaign file, candidates, states, decisions and views.

For use from Python: `open_campaign`, `HullSet`, `screening_metrics`, and for replays `read_replay_data` and `compare`
(docs/python.md).
"""

TYPE_CHECKING = False  # typing's own, without the time that importing it takes

if TYPE_CHECKING:
    from campaign.api import CampaignResults as CampaignResults
    from campaign.api import open_campaign as open_campaign
    from campaign.hull.hull import HullSet as HullSet
    from campaign.metrics.metrics import screening_metrics as screening_metrics
    from campaign.replay.comparison import compare as compare
    from campaign.replay.read import read_replay_data as read_replay_data

    __version__: str
else:
    from esnet import lazy_names

    # looked up when they are asked for: importing a submodule loads nothing of the others
    __getattr__, __dir__, __all__ = lazy_names(
        __name__,
        {
            "CampaignResults": "campaign.api",
            "HullSet": "campaign.hull.hull",
            "compare": "campaign.replay.comparison",
            "open_campaign": "campaign.api",
            "read_replay_data": "campaign.replay.read",
            "screening_metrics": "campaign.metrics.metrics",
        },
    )
