"""No test counts a clip twice: what a sampler would pad is refused by every system whose scores are sums."""

from types import SimpleNamespace

import pytest
from torch.utils.data import DataLoader, DistributedSampler

from mvt4g.systems.probe import CorrespondenceProbe
from mvt4g.types import InputError
from tests.systems.test_probe import EmptyCodec, Toy
from tests.systems.test_tracking import head
from tests.systems.test_tracking import system as tracking_system
from tests.systems.two_ranks import build


@pytest.mark.parametrize(
    "make", [build, lambda: tracking_system(head), lambda: CorrespondenceProbe(Toy(), EmptyCodec())]
)
def test_shares_that_do_not_come_out_even(make):
    system = make()
    for count, refused in ((8, False), (9, True)):
        loader = DataLoader(range(count), sampler=DistributedSampler(range(count), num_replicas=2, rank=0))
        assert (len(loader) * 2 > count) is refused, "the sampler pads"
        for loaders in (loader, [DataLoader(range(9)), loader]):
            system._trainer = SimpleNamespace(test_dataloaders=loaders)
            if refused:
                with pytest.raises(InputError, match=r"^data: got 9 clips on 2 ranks, want a multiple of 2"):
                    system.on_test_epoch_start()
            else:
                system.on_test_epoch_start()
