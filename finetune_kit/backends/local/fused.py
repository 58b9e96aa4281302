"""The parts of a layer that are not its large matrix products, in fewer passes over memory than autograd makes.

`fuse` swaps the classes of modules that are already there: names of weights, what is saved, and what other code sees of
the model stay as they were. Wherever a module is not the plain case, its own forward runs.
"""

from __future__ import annotations

from functools import cache
from typing import Any

_NORMS = frozenset({"LlamaRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm"})
_GATED = frozenset({"LlamaMLP", "Qwen2MLP", "Qwen3MLP"})


def fuse(model: Any) -> None:
    """Let the modules of `model` that are known here compute by the functions of this module."""
    import torch
    from peft.tuners.lora import Linear

    for module in model.modules():
        kind: Any = type(module)
        if kind is Linear:
            module.__class__ = _lora_class(kind)
        elif kind.__name__ in _NORMS:
            module.__class__ = _norm_class(kind)
        elif kind.__name__ in _GATED and isinstance(module.act_fn, torch.nn.SiLU):
            module.__class__ = _gated_class(kind)


@cache
def _lora_class(kind: Any) -> type[Any]:
    import torch
    from torch.nn import functional

    class LowRank(torch.autograd.Function):
        """x W' + scale x A' B' with W frozen; both terms go into one matrix, forwards and backwards."""

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, bias: Any, down: Any, up: Any, scale: float) -> Any:  # noqa: PLR0917
            flat = x.reshape(-1, x.shape[-1])
            low = flat.mm(down.t())
            out = functional.linear(flat, weight, bias).addmm_(low, up.t(), alpha=scale)
            ctx.save_for_backward(flat, weight, down, up, low)
            ctx.scale = scale
            return out.view(*x.shape[:-1], out.shape[-1])

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            x, weight, down, up, low = ctx.saved_tensors
            flat = grad.reshape(-1, grad.shape[-1])
            back = flat.mm(up).mul_(ctx.scale)
            of_x = None
            if ctx.needs_input_grad[0]:
                of_x = flat.mm(weight).addmm_(back, down).view(*grad.shape[:-1], x.shape[-1])
            return of_x, None, None, back.t().mm(x), flat.t().mm(low).mul_(ctx.scale), None

    low_rank: Any = LowRank

    class FusedLora(kind):  # type: ignore[misc]  # the class is known at run time alone
        """One adapter without extras over a frozen layer; anything else goes its usual way."""

        def forward(self, x: Any, *args: Any, **kwargs: Any) -> Any:
            names = self.active_adapters
            if args or kwargs or len(names) != 1 or self.disable_adapters or self.merged:
                return super().forward(x, *args, **kwargs)
            (name,) = names
            base = self.base_layer
            plain = (
                name in self.lora_A
                and name not in self.lora_variant
                and not self.lora_bias[name]
                and isinstance(self.lora_dropout[name], torch.nn.Identity)
                and type(base) is torch.nn.Linear
                and not base.weight.requires_grad
                and x.dtype == base.weight.dtype == self.lora_A[name].weight.dtype
            )
            if not plain or torch.is_autocast_enabled(x.device.type):
                return super().forward(x)
            down, up = self.lora_A[name].weight, self.lora_B[name].weight
            return low_rank.apply(x, base.weight, base.bias, down, up, self.scaling[name])

    return FusedLora


@cache
def _norm_class(kind: Any) -> type[Any]:
    import torch

    class Norm(torch.autograd.Function):
        """Root mean square in float32, with a frozen weight."""

        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, epsilon: float) -> Any:
            wide = x.float()
            size = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
            inverse = size.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
            ctx.save_for_backward(x, weight, inverse)
            return (wide * inverse).to(x.dtype).mul_(weight)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            x, weight, inverse = ctx.saved_tensors
            unit = x * inverse  # float32, as `inverse` is
            wide = grad * weight.float()
            along = torch.linalg.vecdot(wide, unit).unsqueeze(-1).div_(-x.shape[-1])
            return wide.addcmul_(unit, along).mul_(inverse).to(x.dtype), None, None

    norm: Any = Norm

    class FusedNorm(kind):  # type: ignore[misc]  # the class is known at run time alone
        """While its weight is frozen."""

        def forward(self, hidden_states: Any) -> Any:
            if self.weight.requires_grad or self.weight.dtype != hidden_states.dtype:
                return super().forward(hidden_states)
            return norm.apply(hidden_states, self.weight, self.variance_epsilon)

    return FusedNorm


@cache
def _gated_class(kind: Any) -> type[Any]:
    import torch
    from torch.nn import functional

    class Gate(torch.autograd.Function):
        """silu(gate) * up; the product of the two is not kept, but computed again."""

        @staticmethod
        def forward(ctx: Any, gate: Any, up: Any) -> Any:
            ctx.save_for_backward(gate, up)
            return functional.silu(gate).mul_(up)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            gate, up = ctx.saved_tensors
            of_gate = torch.ops.aten.silu_backward(grad * up, gate)
            return of_gate, functional.silu(gate).mul_(grad)

    gated: Any = Gate

    class FusedGate(kind):  # type: ignore[misc]  # the class is known at run time alone
        """Keeps one activation less."""

        def forward(self, x: Any) -> Any:
            return self.down_proj(gated.apply(self.gate_proj(x), self.up_proj(x)))

    return FusedGate


def cross_entropy(logits: Any, tokens: Any, weights: Any) -> Any:
    """The weighted sum of the losses of (n, words) logits, computed in float32."""
    return _loss_class().apply(logits, tokens, weights)


@cache
def _loss_class() -> Any:
    import torch

    class Loss(torch.autograd.Function):
        """Its gradient is made where the float32 logits stood; no second matrix of their size is touched in float32."""

        @staticmethod
        def forward(ctx: Any, logits: Any, tokens: Any, weights: Any) -> Any:
            wide = logits.float()
            of_tokens = wide.gather(1, tokens[:, None])
            most = wide.amax(1, keepdim=True)
            share = (wide.sub_(most) if wide is not logits else wide - most).exp_()
            size = share.sum(1, keepdim=True)
            losses = size.log().add_(most - of_tokens)  # in this order nothing is lost where logits are large
            if ctx.needs_input_grad[0]:
                share.mul_(weights[:, None] / size)
                share[torch.arange(len(tokens), device=tokens.device), tokens] -= weights
                ctx.save_for_backward(share.to(logits.dtype))
            return (losses.squeeze(1) * weights).sum()

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
            (share,) = ctx.saved_tensors
            return share * grad.to(share.dtype), None, None

    return Loss
