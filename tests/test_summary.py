"""The layer table, by hand."""

from ml_collections import ConfigDict

from configs import depthnet
from modest import summary


def test_parameters_and_operations_of_a_block_and_of_all():
    config = ConfigDict(depthnet.get_config())
    config.stages = ((224, 1),)
    rows = {line.split()[0]: line.split()[-2:] for line in summary.table(config).splitlines()}
    assert rows["stem_bg1"] == [f"{27 * 16 + 16 + 2 * 16:,}", f"{2 * 27 * 16 * 224**2 / 1e6:.1f}"]
    skip, convolutions, norms = 16 * 16, 2 * 9 * 16 * 16, 3 * 2 * 16
    assert rows["encode_bg"] == [f"{skip + convolutions + 2 * 16 + norms:,}", f"{2 * (skip + convolutions) * 112**2 / 1e6:.1f}"]
    assert rows["total"][0] == "7,083,874"
    assert 3.25e3 < float(rows["total"][1].replace(",", "")) / 2 < 3.26e3  # 3.256 billion products, by the layer table
