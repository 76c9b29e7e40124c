"""The layer table compared with a calculation by hand."""

from modest.models import summary


def test_parameters_and_operations_of_blocks_and_total():
    table = summary.table({"name": "depthnet"}, 224)
    rows = {line.split()[0]: line.split()[-2:] for line in table.splitlines()}
    stem_values = 27 * 16 + 16 + 2 * 16  # kernel, bias, BatchNorm
    assert rows["stem_bg1"] == [f"{stem_values:,}", f"{2 * 27 * 16 * 224**2 / 1e6:.1f}"]
    skip, convolutions, biases, norms = 16 * 16, 2 * 9 * 16 * 16, 2 * 16, 3 * 2 * 16
    encoder_values = skip + convolutions + biases + norms
    encoder_flops = 2 * (skip + convolutions) * 112**2
    assert rows["encode_bg"] == [f"{encoder_values:,}", f"{encoder_flops / 1e6:.1f}"]
    assert rows["total"][0] == "7,083,874"
    # 3.256 billion multiply-adds, from the layer table
    assert 3.25e3 < float(rows["total"][1].replace(",", "")) / 2 < 3.26e3


def test_blocks_that_see_both_pictures_count_twice():
    table = summary.table({"name": "pairnet"}, 224)
    rows = {line.split()[0]: line.split()[-2:] for line in table.splitlines()}
    assert rows["encode/stem"] == ["480", f"{2 * 2 * 27 * 16 * 224**2 / 1e6:.1f}"]
    head = 16 * 224**2
    assert rows["head_mask/conv"] == ["17", f"{2 * head / 1e6:.1f}"]


def test_operations_of_a_network_are_the_total_of_its_table():
    model = {"name": "pairnet"}
    total = summary.table(model, 64).splitlines()[-1].split()[-1].replace(",", "")
    assert abs(summary.flops(model, 64) / 1e6 - float(total)) < 0.06
