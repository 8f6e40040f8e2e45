"""Share workers between IS-DOS and relaxations, so that neither waits until the other is done.

A worker without a category (`campaign run`, `rlaunch`, `qlaunch`) takes the firework with the highest priority, and a
relaxation has a higher one than an IS-DOS. If relaxations have more than their share of the running calculations, one
IS-DOS is moved ahead of them each time a calculation ends. On a cluster whose queues have their own categories,
`launchers.cluster.queue_filler` shares them.
"""

from campaign.store.campaigns import OpenCampaign
from campaign.store.fireworks import bring_forward, count_fireworks
from campaign.store.states import STAGES

#: Between a relaxation and the relaxation of a reference, for which everything else waits.
BROUGHT_FORWARD = STAGES["relax"].priority + 2


def share_workers(campaign: OpenCampaign) -> None:
    """Move one IS-DOS ahead if relaxations have more than their share (`screening.dos_share`)."""
    share, dos, relax = campaign.spec.screening.dos_share, STAGES["dos"], STAGES["relax"]
    if not share:
        return
    running = {
        stage.name: count_fireworks(campaign.launchpad, campaign.name, "RUNNING", stage.category)
        for stage in (dos, relax)
    }
    if running[dos.name] * (1 - share) < running[relax.name] * share:
        bring_forward(campaign.launchpad, campaign.name, dos.category, priority=dos.priority, to=BROUGHT_FORWARD)
