"""Products with frozen weights, laid out for few rows at a time where the processor's library can."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_ROWS = 32
"""How many rows the layout is chosen for; it serves any number."""


@dataclass(frozen=True, slots=True)
class Linear:
    """`x @ weight.T + bias` for x of shape (rows, inputs)."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    outputs: int
    packed: bool

    @classmethod
    def of(cls, weight: torch.Tensor, bias: torch.Tensor | None = None) -> Linear:
        """From a weight of shape (outputs, inputs); bfloat16 on a processor is packed where it can be."""
        import torch

        weight = weight.detach()
        bias = None if bias is None else bias.detach()
        if weight.device.type == "cpu" and weight.dtype == torch.bfloat16 and _can_pack():
            return cls(_packed(weight), bias, weight.shape[0], True)
        return cls(weight.contiguous(), bias, weight.shape[0], False)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        import torch

        if self.packed:
            product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")
            return product
        return torch.nn.functional.linear(x, self.weight, self.bias)


def _packed(weight: torch.Tensor) -> Any:
    import torch

    return torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _ROWS)


@cache
def _can_pack() -> bool:
    """Whether torch has oneDNN's packed products for bfloat16 here, and they give what the plain ones give."""
    import torch

    x, weight = torch.ones(3, 32, dtype=torch.bfloat16), torch.eye(32, dtype=torch.bfloat16).repeat(2, 1)
    try:
        product = torch.ops.mkldnn._linear_pointwise(x, _packed(weight), None, "none", [], "")
    except (AttributeError, RuntimeError, TypeError):  # an older or newer torch, or one built without oneDNN
        return False
    return bool(torch.equal(product, torch.nn.functional.linear(x, weight)))
