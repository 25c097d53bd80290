import pytest
import torch
from torch import nn

from presize.models.head import AdaptiveConcatPool2d, SigmoidRange, create_head, init_head


def _kinds(head: nn.Sequential) -> list[str]:
    return [type(layer).__name__ for layer in head]


def test_concat_pool_gives_maxima_then_averages() -> None:
    x = torch.randn(2, 3, 5, 4)
    out = AdaptiveConcatPool2d()(x)
    assert out.shape == (2, 6, 1, 1)
    assert torch.allclose(out[:, :3, 0, 0], x.amax((2, 3)))
    assert torch.allclose(out[:, 3:, 0, 0], x.mean((2, 3)))


def test_concat_pool_has_the_same_values_and_gradients_where_all_is_deterministic() -> None:
    pool = AdaptiveConcatPool2d()
    x = torch.randn(2, 3, 5, 4)
    x[0, 0] = -1.0  # all pixels alike

    def pooled() -> tuple[torch.Tensor, torch.Tensor]:
        leaf = x.clone().requires_grad_()
        out = pool(leaf)
        (out * torch.arange(1.0, 13).reshape(2, 6, 1, 1)).sum().backward()
        assert leaf.grad is not None
        return out.detach(), leaf.grad

    usual, usual_grad = pooled()
    torch.use_deterministic_algorithms(True)
    try:
        exact, exact_grad = pooled()
        assert AdaptiveConcatPool2d(2)(x).shape == (2, 6, 2, 2)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(usual, exact)
    torch.testing.assert_close(usual_grad[1], exact_grad[1])
    torch.testing.assert_close(usual_grad[0, 1:], exact_grad[0, 1:])
    # Equal maxima share the gradient, which in the sum stays the same.
    torch.testing.assert_close(usual_grad[0, 0].sum(), exact_grad[0, 0].sum())


def test_the_usual_head() -> None:
    head = create_head(100, 37)
    assert _kinds(head) == [
        "AdaptiveConcatPool2d", "Flatten", "BatchNorm1d", "Dropout", "Linear", "ReLU",
        "BatchNorm1d", "Dropout", "Linear",
    ]  # fmt: skip
    assert isinstance(head[4], nn.Linear) and isinstance(head[8], nn.Linear)
    assert head[4].weight.shape == (512, 200) and head[4].bias is None
    assert head[8].weight.shape == (37, 512) and head[8].bias is None
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.25, 0.5]
    assert head(torch.randn(2, 100, 3, 3)).shape == (2, 37)


def test_head_on_pooled_features_and_average_pooling() -> None:
    assert _kinds(create_head(10, 2, pooled=True))[0] == "BatchNorm1d"
    assert create_head(10, 2, pooled=True)(torch.randn(3, 10)).shape == (3, 2)
    head = create_head(10, 2, concat_pool=False)
    assert _kinds(head)[0] == "AdaptiveAvgPool2d"
    assert head(torch.randn(3, 10, 4, 4)).shape == (3, 2)


def test_hidden_layers_and_dropout() -> None:
    assert _kinds(create_head(8, 2, lin_ftrs=(), ps=0.3)) == [
        "AdaptiveConcatPool2d", "Flatten", "BatchNorm1d", "Dropout", "Linear",
    ]  # fmt: skip
    head = create_head(8, 2, lin_ftrs=[32, 16], ps=[0.1, 0.2, 0.4])
    widths = [layer.out_features for layer in head if isinstance(layer, nn.Linear)]
    assert widths == [32, 16, 2]
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.1, 0.2, 0.4]
    assert "Dropout" not in _kinds(create_head(8, 2, ps=0))


def test_options_of_norms_and_range() -> None:
    bare = create_head(8, 2, pooled=True, first_bn=False, ps=0)
    assert _kinds(bare) == ["Linear", "ReLU", "BatchNorm1d", "Linear"]
    assert isinstance(bare[0], nn.Linear) and bare[0].bias is not None
    first = create_head(8, 2, pooled=True, lin_first=True)
    assert _kinds(first) == ["Dropout", "Linear", "ReLU", "BatchNorm1d", "Dropout", "Linear"]
    assert isinstance(first[-1], nn.Linear) and first[-1].bias is not None
    assert _kinds(create_head(8, 2, bn_final=True))[-1] == "BatchNorm1d"
    out = create_head(8, 2, y_range=(-1, 5))(100 * torch.randn(16, 8, 2, 2))
    assert out.min() >= -1 and out.max() <= 5


def test_bad_options_are_told() -> None:
    with pytest.raises(ValueError, match="ps has 3 chances of dropout, but the head has 2 linear"):
        create_head(8, 2, ps=[0.1, 0.2, 0.3])
    with pytest.raises(ValueError, match=r"lie in \[0, 1\); got 1\.5"):
        create_head(8, 2, ps=1.5)
    with pytest.raises(ValueError, match=r"at least 1 feature; got widths \[16, 0, 2\]"):
        create_head(8, 2, lin_ftrs=[0])
    with pytest.raises(ValueError, match=r"y_range wants \(low, high\) .* got \(1, 1\)"):
        SigmoidRange(1, 1)


def test_init_fills_linear_weights_only() -> None:
    head = create_head(8, 2, first_bn=False)
    init_head(head, nn.init.ones_)
    for name, p in head.named_parameters():
        assert (p == (0 if name.endswith("bias") else 1)).all()
    assert dict(head.named_parameters())["3.bias"].shape == (512,)
    before = [p.clone() for p in head.parameters()]
    init_head(head, None)
    assert all(torch.equal(a, b) for a, b in zip(before, head.parameters(), strict=True))
